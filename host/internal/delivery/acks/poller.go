package acks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery/circuit"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// Store is the part of store.Store that acks need.
type Store interface {
	ActiveConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error)
	OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error)
	ApplyAcks(ctx context.Context, connectionID uuid.UUID, acks []store.Ack, actor string) ([]store.AckVerdict, error)
	InFlight(ctx context.Context, connectionID uuid.UUID) (int, error)
	AppendAudit(ctx context.Context, entry domain.AuditEntry) error
	ListHosts(ctx context.Context) ([]domain.HostNode, error)
}

// Knobs are the numbers that a deployment may want to turn. Zero values mean
// the defaults.
type Knobs struct {
	// Every overrides how often each connection is polled, whatever its config
	// says. Zero: the config's ack_poll_seconds, or 60.
	Every       time.Duration
	Look        time.Duration // look for connections whose time has come: 5 s, sooner for those that are polled often
	Page        int           // acks in one fetch and one commit: 1,000
	MostWaiting int           // a page that grows because acks are left where they are: 10,000
	Concurrency int           // connections polled at one time: 16
	Timeout     time.Duration // one page: 60 s
	// ForeignAfter is when an ack that matches nothing is rejected although
	// exports of the connection are in flight: 1 h. CrowdedAfter is the same
	// where so many of them wait that they keep others from being fetched: 2 min.
	ForeignAfter, CrowdedAfter time.Duration
}

func (k Knobs) withDefaults() Knobs {
	if k.Look == 0 {
		k.Look = 5 * time.Second
		if k.Every > 0 {
			k.Look = min(k.Look, k.Every)
		}
	}
	setDefault(&k.Page, 1000)
	setDefault(&k.MostWaiting, 10_000)
	setDefault(&k.Concurrency, 16)
	setDefault(&k.Timeout, time.Minute)
	setDefault(&k.ForeignAfter, time.Hour)
	setDefault(&k.CrowdedAfter, 2*time.Minute)
	return k
}

func setDefault[T comparable](knob *T, value T) {
	var zero T
	if *knob == zero {
		*knob = value
	}
}

// Options are what a Poller is made of. All are required but Settled.
type Options struct {
	Store      Store
	Registry   connector.Registry
	OpenConfig func(domain.Connection) ([]byte, error)
	Slug       func(ctx context.Context, orgID uuid.UUID) (string, error)
	Logger     *slog.Logger
	HostName   string
	HostID     func() uuid.UUID
	Settled    func(connectorType string, verdict Verdict, count int)
	Knobs      Knobs
}

// Poller polls connections for acks.
type Poller struct {
	o       Options
	wake    chan struct{} // buffered: look now
	planned chan struct{} // buffered: a poll has ended, and the next one of its connection is planned

	mu     sync.Mutex
	known  map[uuid.UUID]*schedule // guarded by mu
	listed bool                    // guarded by mu: known holds what was there when this host began
}

// schedule is what the poller remembers of a connection.
type schedule struct {
	turn    chan struct{} // holds one token: whoever has it polls the connection
	next    time.Time     // guarded by Poller.mu
	every   time.Duration // guarded by Poller.mu: how often, by its config; set when that was opened first
	asOf    time.Time     // guarded by Poller.mu: updated_at of the connection
	mine    bool          // guarded by Poller.mu: this host polls it, and its circuit is closed
	running bool          // guarded by Poller.mu: Run polls it now
	failed  int           // guarded by Poller.mu: polls that failed in a row
	// unmatched says since when acks are known that match no export, by handle.
	unmatched map[string]time.Time // belongs to whoever has the turn
}

// New returns a Poller.
func New(o Options) *Poller {
	o.Knobs = o.Knobs.withDefaults()
	if o.Settled == nil {
		o.Settled = func(string, Verdict, int) {}
	}
	return &Poller{
		o: o, wake: make(chan struct{}, 1), planned: make(chan struct{}, 1), known: make(map[uuid.UUID]*schedule),
	}
}

// leastPause lies between two looks, whoever asks for one.
const leastPause = 250 * time.Millisecond

// Run polls until ctx ends, and returns when the last poll has.
func (p *Poller) Run(ctx context.Context) {
	var polls sync.WaitGroup
	defer polls.Wait()
	slots := make(chan struct{}, p.o.Knobs.Concurrency)
	for {
		due, err := p.due(ctx)
		if err != nil && ctx.Err() == nil {
			p.o.Logger.Error("connections to poll for acks could not be listed", "error", err)
		}
		for _, conn := range due {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			polls.Go(func() {
				defer func() { <-slots }()
				p.pollPlanned(ctx, conn)
			})
		}
		if !p.rest(ctx) {
			return
		}
	}
}

// rest waits until it is time to look again, and says no when ctx ends.
func (p *Poller) rest(ctx context.Context) bool {
	last, look := time.Now(), jittered(p.o.Knobs.Look)
	for {
		timer := time.NewTimer(time.Until(p.nextLook(last, look)))
		select {
		case <-ctx.Done():
		case <-p.planned:
			timer.Stop()
			continue
		case <-timer.C:
		case <-p.wake:
			timer.Reset(time.Until(last.Add(min(leastPause, look))))
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		timer.Stop()
		return ctx.Err() == nil
	}
}

// nextLook is when the first connection is due. With many connections some are
// always due soon, and each look lists them all; so it comes not much more often
// than the shortest interval asks for.
func (p *Poller) nextLook(last time.Time, look time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	shortest, first := 4*look, last.Add(look)
	for _, s := range p.known {
		if !s.mine || s.running {
			continue
		}
		shortest = min(shortest, s.every)
		if s.next.Before(first) {
			first = s.next
		}
	}
	if least := last.Add(shortest / 4); first.Before(least) {
		return least
	}
	return first
}

// Expect says that the connection may have acks soon: orders are delivered over
// it. One that nobody knew is looked at now, and not when it is usual.
func (p *Poller) Expect(connectionID uuid.UUID) {
	p.mu.Lock()
	_, known := p.known[connectionID]
	p.mu.Unlock()
	if !known {
		signal(p.wake)
	}
}

// signal never blocks: one that was not taken yet says it all.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// due lists the connections to poll now, and forgets those that are gone.
func (p *Poller) due(ctx context.Context) ([]domain.Connection, error) {
	types := p.ackTypes()
	if len(types) == 0 {
		return nil, nil
	}
	connections, err := p.o.Store.ActiveConnections(ctx, types)
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	mine, err := p.shareOfWork(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []domain.Connection
	seen := make(map[uuid.UUID]struct{}, len(connections))
	for _, conn := range connections {
		seen[conn.ID] = struct{}{}
		s := p.scheduleOf(conn)
		s.mine = conn.Health.State != domain.Down && mine(conn)
		if !s.asOf.Equal(conn.UpdatedAt) {
			s.next, s.asOf, s.failed = now, conn.UpdatedAt, 0 // its config may say something else now
		}
		if s.running || now.Before(s.next) || !s.mine {
			continue
		}
		s.running = true
		due = append(due, conn)
	}
	for id, s := range p.known {
		if _, there := seen[id]; !there && !s.running {
			delete(p.known, id)
		}
	}
	p.listed = true
	return due, nil
}

// scheduleOf returns what is known of a connection. A new one is polled at
// once. Those that are there when this host begins are polled at a random
// moment of their first interval, so that a start does not poll all at once.
// Called with mu held.
func (p *Poller) scheduleOf(conn domain.Connection) *schedule {
	s := p.known[conn.ID]
	if s != nil {
		return s
	}
	s = &schedule{turn: make(chan struct{}, 1), asOf: conn.UpdatedAt, next: time.Now()}
	s.turn <- struct{}{}
	p.known[conn.ID] = s
	if !p.listed {
		config, _ := p.o.OpenConfig(conn) // one that does not open is reported when it is polled
		s.every = p.interval(config)
		s.next = s.next.Add(rand.N(min(s.every, longestFirst)))
	}
	return s
}

// longestFirst bounds how long after the start the first poll comes.
const longestFirst = 10 * time.Second

func (p *Poller) ackTypes() []string {
	var types []string
	for _, name := range p.o.Registry.Types() {
		target, err := p.o.Registry.Get(name)
		if err == nil && slices.Contains(target.Describe().GetCapabilities(), connectorv1.Capability_CAPABILITY_ACKS) {
			types = append(types, name)
		}
	}
	return types
}

// shareOfWork tells which connections this host polls: of the live hosts that
// have the connector, the one that draws the highest number for it. While two
// hosts disagree on who lives, both poll, which does no harm.
func (p *Poller) shareOfWork(ctx context.Context) (func(domain.Connection) bool, error) {
	hosts, err := p.o.Store.ListHosts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	me := p.o.HostID()
	live := slices.DeleteFunc(hosts, func(h domain.HostNode) bool { return h.StoppedAt != nil || h.ID == me })
	return func(conn domain.Connection) bool {
		mine := draw(me, conn.ID)
		for _, other := range live {
			if slices.Contains(other.ConnectorTypes, conn.ConnectorType) && draw(other.ID, conn.ID) > mine {
				return false
			}
		}
		return true
	}, nil
}

func draw(host, connection uuid.UUID) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(host[:]) // never fails
	_, _ = h.Write(connection[:])
	return h.Sum64()
}

func (p *Poller) pollPlanned(ctx context.Context, conn domain.Connection) {
	config, err := p.o.OpenConfig(conn)
	if err == nil {
		err = p.poll(ctx, conn, config)
	}
	p.mu.Lock()
	s := p.scheduleOf(conn)
	s.running = false
	s.every = p.interval(config)
	pause := s.every
	if err != nil {
		s.failed++
		pause = max(pause, circuit.Pause(codeOf(err), s.failed, rand.Float64()), retryAfter(err))
	} else {
		s.failed = 0
	}
	s.next = time.Now().Add(jittered(pause))
	p.mu.Unlock()
	signal(p.planned)
	if err != nil && ctx.Err() == nil {
		p.o.Logger.Warn("acks could not be polled", "connection", conn.ID, "error", err)
	}
}

// codeOf is why a poll failed: the connector's reason, or that of an outage.
func codeOf(err error) port.Code {
	var failed *connector.FetchError
	if errors.As(err, &failed) {
		return port.CodeOf(failed.Report.GetCode())
	}
	return port.Unreachable
}

// mostPatience bounds what a connector may ask for.
const mostPatience = 24 * time.Hour

// retryAfter is the pause that the connector asked for.
func retryAfter(err error) time.Duration {
	var failed *connector.FetchError
	if !errors.As(err, &failed) {
		return 0
	}
	return min(failed.RetryAfter(), mostPatience)
}

// Poll fetches and settles all acks of a connection now. It waits for a poll
// that is under way.
func (p *Poller) Poll(ctx context.Context, conn domain.Connection) error {
	config, err := p.o.OpenConfig(conn)
	if err != nil {
		return fmt.Errorf("open config: %w", err)
	}
	return p.poll(ctx, conn, config)
}

// interval is how often a connection with this config is polled.
func (p *Poller) interval(config []byte) time.Duration {
	if p.o.Knobs.Every > 0 {
		return p.o.Knobs.Every
	}
	var fields struct {
		Seconds float64 `json:"ack_poll_seconds"`
	}
	if json.Unmarshal(config, &fields) != nil || fields.Seconds <= 0 {
		return time.Minute
	}
	return time.Duration(min(max(fields.Seconds, 1), 24*60*60) * float64(time.Second))
}

func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
