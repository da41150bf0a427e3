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

	"github.com/orderport/orderport/host/internal/connector"
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
	Look        time.Duration // look for connections whose time has come: 5 s
	Page        int           // acks in one fetch and one commit: 1,000
	Concurrency int           // connections polled at one time: 16
	Timeout     time.Duration // one page: 60 s
	// ForeignAfter is when an ack that matches nothing is rejected although
	// exports of the connection are in flight: 1 h.
	ForeignAfter time.Duration
}

func (k Knobs) withDefaults() Knobs {
	if k.Look == 0 {
		k.Look = 5 * time.Second
		if k.Every > 0 {
			k.Look = min(k.Look, k.Every)
		}
	}
	if k.Page == 0 {
		k.Page = 1000
	}
	if k.Concurrency == 0 {
		k.Concurrency = 16
	}
	if k.Timeout == 0 {
		k.Timeout = time.Minute
	}
	if k.ForeignAfter == 0 {
		k.ForeignAfter = time.Hour
	}
	return k
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
	o Options

	mu    sync.Mutex
	known map[uuid.UUID]*schedule // guarded by mu
}

// schedule is what the poller remembers of a connection.
type schedule struct {
	busy    sync.Mutex // held while the connection is polled
	next    time.Time  // guarded by Poller.mu
	running bool       // guarded by Poller.mu: Run polls it now
	failed  int        // guarded by Poller.mu: polls that failed in a row
	// unmatched says since when acks are known that match no export, by handle.
	unmatched map[string]time.Time // guarded by busy
}

// New returns a Poller.
func New(o Options) *Poller {
	o.Knobs = o.Knobs.withDefaults()
	if o.Settled == nil {
		o.Settled = func(string, Verdict, int) {}
	}
	return &Poller{o: o, known: make(map[uuid.UUID]*schedule)}
}

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
		select {
		case <-ctx.Done():
			return
		case <-time.After(jittered(p.o.Knobs.Look)):
		}
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
		if s.running || now.Before(s.next) || conn.Health.State == domain.Down || !mine(conn) {
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
	return due, nil
}

// scheduleOf returns what is known of a connection. A new one is polled at a
// random moment of its first interval, so that a start does not poll all at
// once. Called with mu held.
func (p *Poller) scheduleOf(conn domain.Connection) *schedule {
	s := p.known[conn.ID]
	if s == nil {
		first := min(p.interval(nil), 10*time.Second)
		s = &schedule{next: time.Now().Add(time.Duration(rand.Int64N(int64(first))))}
		p.known[conn.ID] = s
	}
	return s
}

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

// longestPause bounds how rarely a connection is polled whose polls fail.
const longestPause = 10 * time.Minute

func (p *Poller) pollPlanned(ctx context.Context, conn domain.Connection) {
	config, err := p.o.OpenConfig(conn)
	if err == nil {
		err = p.poll(ctx, conn, config)
	}
	p.mu.Lock()
	s := p.scheduleOf(conn)
	s.running = false
	pause := p.interval(config)
	if err != nil {
		s.failed++
		pause = max(min(pause<<min(s.failed, 10), max(pause, longestPause)), retryAfter(err))
	} else {
		s.failed = 0
	}
	s.next = time.Now().Add(jittered(pause))
	p.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		p.o.Logger.Warn("acks could not be polled", "connection", conn.ID, "error", err)
	}
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
