package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/delivery/fairshare"
	"github.com/orderport/orderport/host/internal/delivery/groupcommit"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/hands"
)

// Why attempts are cut short.
var (
	errStopping = errors.New("the host stops")
	errDeposed  = errors.New("the host was declared dead")
)

// callTimeout bounds one call of the database outside of attempts.
const callTimeout = 10 * time.Second

// reserve is how many exports a connection may run even if others hold all of
// the host's slots.
const reserve = 4

// Engine delivers exports. Start it once, Stop it once; Nudge and PollAcks may
// be called at any time.
type Engine struct {
	o        Options
	log      *slog.Logger
	rules    rules
	saves    *groupcommit.Committer[store.Save]
	finishes *groupcommit.Committer[store.Finish]
	poller   *acks.Poller
	slugs    *slugs

	host        atomic.Pointer[incarnation]    // the current one; nil before Start
	unreachable atomic.Pointer[error]          // why the last heartbeat failed; nil: it did not
	peers       atomic.Pointer[map[string]int] // live hosts by connector type; nil: not known yet

	working   context.Context // ends when nothing new is to be begun
	rest      context.CancelFunc
	recording context.Context // ends when Stop gives up
	giveUp    context.CancelFunc
	loops     sync.WaitGroup // sweep, lanes, probes, acks
	attempts  sync.WaitGroup
	hands     hands.Pool // for attempts
	beating   sync.WaitGroup
	stopBeat  context.CancelFunc

	slots  *fairshare.Pool
	leases leases

	mu       sync.Mutex
	started  bool                       // guarded by mu
	stopping bool                       // guarded by mu
	lanes    map[uuid.UUID]*lane        // guarded by mu
	probing  map[uuid.UUID]struct{}     // guarded by mu
	byType   map[string]*connectorSlots // guarded by mu
}

// connectorSlots bounds what runs in one connector type's processes.
type connectorSlots struct {
	pool   *fairshare.Pool // nil: no bound
	loners *loners
}

// New returns an engine that does nothing until Start.
func New(o Options) *Engine {
	o.Knobs = o.Knobs.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.HostID == uuid.Nil {
		o.HostID = uuid.New()
	}
	if o.Registered == nil {
		o.Registered = func(uuid.UUID) {}
	}
	e := &Engine{
		o: o, log: o.Logger, rules: newRules(o.Knobs),
		saves:    groupcommit.New(groupcommit.Options[store.Save]{Commit: o.Store.SaveAll}),
		finishes: groupcommit.New(groupcommit.Options[store.Finish]{Commit: o.Store.FinishAll}),
		slugs:    &slugs{store: o.Store},
		slots:    fairshare.New(o.Knobs.GlobalConcurrency, reserve),
		lanes:    make(map[uuid.UUID]*lane),
		probing:  make(map[uuid.UUID]struct{}),
		byType:   make(map[string]*connectorSlots),
	}
	e.working, e.rest = context.WithCancel(context.Background())
	e.recording, e.giveUp = context.WithCancel(context.Background())
	e.poller = acks.New(acks.Options{
		Store: o.Store, Registry: o.Registry, OpenConfig: o.OpenConfig, Slug: e.slugs.of,
		Logger: o.Logger, HostName: o.HostName, HostID: e.hostID, Settled: o.Observer.AcksSettled, Knobs: o.Knobs.Acks,
	})
	return e
}

// Start registers this host and begins to work. It returns an error if the
// database can't be reached; then nothing runs. ctx bounds only Start itself.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started {
		return errors.New("start engine: it was started before")
	}
	if e.o.Predecessor != uuid.Nil {
		if err := e.o.Store.StopHost(ctx, e.o.Predecessor); err != nil {
			return fmt.Errorf("take the place of host %s: %w", e.o.Predecessor, err)
		}
	}
	if err := e.register(ctx, e.o.HostID); err != nil {
		return err
	}
	e.started = true
	beatCtx, stop := context.WithCancel(context.Background())
	e.stopBeat = stop
	e.beating.Go(func() { e.beat(beatCtx) })
	e.loops.Go(e.sweep)
	e.loops.Go(func() { e.poller.Run(e.working) })
	return nil
}

// Stop begins nothing new, lets attempts end within the drain grace, cuts the
// rest short and records how they ended, and marks this host stopped so that
// another one goes on at once. It returns when all that is done, or ctx ends;
// then, too, nothing that it began is left to run.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	if !e.started || e.stopping {
		e.mu.Unlock()
		return nil
	}
	e.stopping = true
	e.rest()
	e.mu.Unlock()

	defer e.stopBeating()
	defer e.giveUp()
	cutShort := func() { e.host.Load().cancel(errStopping) }
	defer cutShort()
	if !waitFor(ctx, &e.loops) {
		return fmt.Errorf("stop engine: the database does not answer: %w", ctx.Err())
	}
	grace, cancel := context.WithTimeout(ctx, e.o.Knobs.DrainGrace)
	defer cancel()
	waitFor(grace, &e.attempts)
	cutShort()
	if !waitFor(ctx, &e.attempts) {
		return fmt.Errorf("stop engine: attempts did not end: %w", ctx.Err())
	}
	// The last beat comes before, or it would find this host dead.
	e.stopBeating()
	if err := e.o.Store.StopHost(ctx, e.hostID()); err != nil {
		return fmt.Errorf("stop engine: %w", err)
	}
	return nil
}

func (e *Engine) stopBeating() {
	e.stopBeat()
	e.beating.Wait()
}

// waitFor waits for the group until ctx ends, and says whether it is through.
func waitFor(ctx context.Context, group *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// Nudge says that a connection may have something due. It returns at once and
// does nothing if the engine is not running.
func (e *Engine) Nudge(connectionID uuid.UUID) { e.look(connectionID, lookOpts{}) }

// Wake is Nudge for jobs of the queue: it says whether this host can serve the
// connection, and reads the connection's row again.
func (e *Engine) Wake(ctx context.Context, connectionID uuid.UUID) (served bool, err error) {
	asked := time.Now()
	conn, err := e.o.Store.ConnectionByID(ctx, connectionID)
	if isNotFound(err) {
		return true, nil // nothing to serve, here or elsewhere
	}
	if err != nil {
		return false, fmt.Errorf("wake: %w", err)
	}
	if _, err := e.o.Registry.Get(conn.ConnectorType); err != nil {
		return false, nil
	}
	e.look(connectionID, lookOpts{row: &readRow{conn: conn, asked: asked}})
	return true, nil
}

// PollAcks fetches the acks of a connection now. It returns when they are
// settled.
func (e *Engine) PollAcks(ctx context.Context, connectionID uuid.UUID) error {
	conn, err := e.o.Store.ConnectionByID(ctx, connectionID)
	if err != nil {
		return fmt.Errorf("poll acks: %w", err)
	}
	return e.poller.Poll(ctx, conn)
}

// Stats is a snapshot for metrics.
type Stats struct {
	Running int // attempts under way
	Lanes   int // connections being served
}

// Stats returns what is going on.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Running: e.slots.Held(), Lanes: len(e.lanes)}
}

// HostID returns the id under which this host is registered now.
func (e *Engine) HostID() uuid.UUID { return e.hostID() }

func (e *Engine) hostID() uuid.UUID {
	if host := e.host.Load(); host != nil {
		return host.id
	}
	return e.o.HostID
}

// slotsOf returns the bounds for a connector type.
func (e *Engine) slotsOf(connectorType string, p connector.Port) *connectorSlots {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.byType[connectorType]
	if s == nil {
		s = &connectorSlots{loners: newLoners(func() (connector.Port, error) { return e.o.Registry.Isolated(connectorType) })}
		if limit := int(p.Describe().GetLimits().GetMaxInFlight()); limit > 0 {
			s.pool = fairshare.New(limit, 0)
		}
		e.byType[connectorType] = s
	}
	return s
}

// slugs remembers the slugs of organizations, which never change.
type slugs struct {
	store interface {
		OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error)
	}
	known sync.Map // uuid.UUID → string
}

func (s *slugs) of(ctx context.Context, orgID uuid.UUID) (string, error) {
	if slug, ok := s.known.Load(orgID); ok {
		return slug.(string), nil
	}
	org, err := s.store.OrganizationByID(ctx, orgID)
	if err != nil {
		return "", fmt.Errorf("read organization: %w", err)
	}
	s.known.Store(orgID, org.Slug)
	return org.Slug, nil
}
