package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// gate holds the first attempt of an export at one point until it is opened.
type gate struct {
	reached, open chan struct{}
	once          atomic.Bool
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

// pass waits, the first time, whatever the attempt's context says: a paused
// process does not notice that its time is over.
func (g *gate) pass() {
	if g.once.CompareAndSwap(false, true) {
		close(g.reached)
		<-g.open
	}
}

// pausing makes p pause its first attempt before one of its steps.
func pausing(p *erp, at string) *gate {
	g := newGate()
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		ctx = context.WithoutCancel(ctx)
		id := start.GetExportId()
		if start.GetResume().GetCheckpoint() == nil {
			if at == "checkpoint" {
				g.pass()
			}
			if refused := p.stage(ctx, id, sink); refused != nil {
				return &connectorv1.ExportResult{Error: refused}, nil
			}
		}
		if at == "publish" {
			g.pass()
		}
		result := p.publish(id)
		if at == "result" {
			g.pass()
		}
		return result, nil
	}
	return g
}

// cutOff is options for a host whose line to the database can be cut.
func (w *world) cutOff(ports registry, s store.Store) (delivery.Options, *line) {
	l := &line{Store: s}
	o := w.options(ports)
	o.Store, o.HostName, o.HostID = l, "cut off", uuid.New()
	return o, l
}

func TestAHostThatIsPausedIsReplacedAndCanDoNoHarmWhenItWakes(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"checkpoint", "publish", "result"} {
		t.Run("paused before its "+at, func(t *testing.T) {
			t.Parallel()
			w, open := onPostgres(t)
			p := newERP()
			g := pausing(p, at)
			exports := w.accept(w.connection(), 1)
			o, l := w.cutOff(registry{erpType: p}, open())
			w.run(o)
			<-g.reached
			l.cut.Store(true)
			began := time.Now()
			w.run(w.options(registry{erpType: p}))
			got := w.await(domain.Sent, exports...)[0]
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it was taken over after %v", took)
			}
			l.cut.Store(false)
			close(g.open)
			eventually(t, "the late attempt has ended", func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.now == 0
			})
			p.overlaps = 0 // meant to be here: the first attempt was under way all the time
			p.verify(t, 1, got.ID)
			if after := w.get(got); after.Status != domain.Sent || w.outcomes(got) != "LOST DELIVERED" {
				t.Errorf("afterwards it is %s, attempts %s", after.Status, w.outcomes(got))
			}
			if why := w.firstError(got); !strings.Contains(why, "the host cut off died, was stopped or was paused") {
				t.Errorf("the lost attempt ended because %q", why)
			}
		})
	}
}

// firstError is why the first attempt of an export ended.
func (w *world) firstError(e domain.Export) string {
	w.t.Helper()
	attempts, err := w.store.Attempts(context.Background(), e.OrgID, e.ID)
	must(w.t, err)
	return attempts[0].Error.Message
}

func TestAfterARestartTheExportsOfThePredecessorGoOnAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		g := pausing(p, "publish")
		defer close(g.open)
		exports := w.accept(w.connection(), 1)
		o, l := w.cutOff(registry{erpType: p}, w.store)
		w.run(o)
		<-g.reached
		l.cut.Store(true)
		defer l.cut.Store(false)
		restarted := w.options(registry{erpType: p})
		restarted.Predecessor = o.HostID
		restarted.Knobs.DeadAfter = time.Hour
		w.run(restarted)
		w.await(domain.Sent, exports...)
	})
}

func TestAConnectorThatCannotFenceIsNotRunAgainBeforeTheLeaseIsOver(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP(connectorv1.Capability_CAPABILITY_RESUME)
	g := pausing(p, "publish")
	defer close(g.open)
	exports := w.accept(w.connection(), 1)
	o, l := w.cutOff(registry{erpType: p}, open())
	o.Knobs.AttemptTimeout, o.Knobs.LeaseGrace = 4*time.Second, 2*time.Second
	began := time.Now()
	w.run(o)
	<-g.reached
	l.cut.Store(true)
	defer l.cut.Store(false)
	w.run(w.options(registry{erpType: p}))
	w.await(domain.Sent, exports...)
	if took := time.Since(began); took < 5500*time.Millisecond {
		t.Errorf("it ran again after %v, before the lease of 6 s was over", took)
	}
}

func TestAConnectorThatCannotResumeIsNotRunAgainAfterItsHostDied(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP(connectorv1.Capability_CAPABILITY_FENCED)
	g := pausing(p, "publish")
	defer close(g.open)
	exports := w.accept(w.connection(), 1)
	o, l := w.cutOff(registry{erpType: p}, open())
	w.run(o)
	<-g.reached
	l.cut.Store(true)
	defer l.cut.Store(false)
	w.run(w.options(registry{erpType: p}))
	got := w.await(domain.Failed, exports...)[0]
	if got.Error.Code != port.OutcomeUnknown || p.attemptsOf(got.ID) != 1 {
		t.Errorf("error %+v after %d attempts", got.Error, p.attemptsOf(got.ID))
	}
}

func TestTwoHostsNeverRunOneExportAtOnce(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP()
	var exports []domain.Export
	for range 3 {
		exports = append(exports, w.accept(w.connection(), 100)...)
	}
	for range 2 {
		o := w.options(registry{erpType: p})
		o.Store = open()
		w.run(o)
	}
	for _, got := range w.await(domain.Sent, exports...) {
		if got.AttemptCount != 1 {
			t.Errorf("an export took %d attempts", got.AttemptCount)
		}
	}
	p.verify(t, 1, ids(exports)...)
}

func TestAHostThatWasDeclaredDeadGoesOnUnderANewID(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		conn := w.connection()
		o := w.options(registry{erpType: p})
		told := make(chan uuid.UUID, 10)
		o.Registered = func(id uuid.UUID) { told <- id }
		e := w.run(o)
		old := e.HostID()
		must(t, w.store.StopHost(t.Context(), old))
		eventually(t, "it has a new id", func() bool { return e.HostID() != old })
		if first, second := <-told, <-told; first != old || second != e.HostID() {
			t.Errorf("its ids were said to be %s and %s, they are %s and %s", first, second, old, e.HostID())
		}
		exports := w.accept(conn, 10)
		e.Nudge(conn.ID)
		w.await(domain.Sent, exports...)
	})
}

// An attempt that is cut off can't know whether its checkpoint was saved, and
// must leave at the target what it has staged. One that is refused can take it
// away.
func TestAnAttemptWhoseHostWasDeclaredDeadIsRefusedAndNotCutOff(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p, g := newERP(), newGate()
		late := make(chan error, 1)
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			if start.GetAttempt() > 1 {
				return p.honest(ctx, start, sink)
			}
			g.pass()
			err := ctx.Err()
			if err == nil {
				err = sink.SaveCheckpoint(ctx, []byte("staged"), "")
			}
			late <- err
			return &connectorv1.ExportResult{Error: failure(connectorv1.ErrorCode_ERROR_CODE_INTERNAL, true, "late")}, nil
		}
		exports := w.accept(w.connection(), 1)
		e := w.run(w.options(registry{erpType: p}))
		<-g.reached
		old := e.HostID()
		must(t, w.store.StopHost(t.Context(), old))
		// Until then its checkpoint would be saved, and handed to whoever goes on.
		eventually(t, "its export is taken over", func() bool { return w.get(exports[0]).Lease == nil })
		eventually(t, "it has a new id", func() bool { return e.HostID() != old })
		close(g.open)
		var refused *connector.RefusedError
		if err := <-late; !errors.As(err, &refused) || refused.Reason != connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED {
			t.Errorf("the late checkpoint got %v, want a refusal", err)
		}
		w.await(domain.Sent, exports...)
	})
}

// slowClaims answers the first claim that gets something only when it is let,
// and calls it granted before.
type slowClaims struct {
	store.Store
	granted func()
	once    sync.Once
}

func (s *slowClaims) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	claimed, err := s.Store.Claim(ctx, req)
	if len(claimed) > 0 {
		s.once.Do(s.granted)
	}
	return claimed, err
}

func TestAClaimWhoseAnswerComesWhenItIsVoidIsNotBegun(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		o := w.options(registry{erpType: p})
		o.HostID = uuid.New()
		o.Store = &slowClaims{Store: w.store, granted: func() {
			must(t, w.store.StopHost(context.Background(), o.HostID))
			<-time.After(o.Knobs.DeadAfter + 100*time.Millisecond)
		}}
		exports := w.accept(w.connection(), 1)
		w.run(o)
		got := w.await(domain.Sent, exports...)[0]
		p.mu.Lock()
		defer p.mu.Unlock()
		if n := p.attempts[got.ID.String()]; n != 1 {
			t.Errorf("the connector was called %d times, want once; attempts %s", n, w.outcomes(got))
		}
	})
}

func TestWhatTheDatabaseLosesIsMadeGood(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		flaw func(f *flaw)
	}{
		{"a claim fails", func(f *flaw) { f.claims.Store(2) }},
		{"checkpoints fail", func(f *flaw) { f.saves.Store(6) }},
		{"results fail", func(f *flaw) { f.finishes.Store(6) }},
	} {
		for _, applied := range []bool{false, true} {
			name := tc.name + ", not applied"
			if applied {
				name = tc.name + ", but applied"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				onBoth(t, func(t *testing.T, w *world) {
					p := newERP()
					f := &flaw{Store: w.store, applied: applied}
					tc.flaw(f)
					exports := w.accept(w.connection(), 20)
					o := w.options(registry{erpType: p})
					o.Store = f
					w.run(o)
					for _, got := range w.await(domain.Sent, exports...) {
						if got.FailureCount != 0 {
							t.Errorf("it counted as %d failures", got.FailureCount)
						}
					}
					p.verify(t, 1, ids(exports)...)
				})
			})
		}
	}
}

func TestADatabaseThatIsAwayForSecondsLosesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		exports := w.accept(w.connection(), 300)
		o, l := w.cutOff(registry{erpType: p}, w.store)
		w.run(o)
		for range 3 {
			<-time.After(100 * time.Millisecond)
			l.cut.Store(true)
			<-time.After(700 * time.Millisecond)
			l.cut.Store(false)
		}
		for _, got := range w.await(domain.Sent, exports...) {
			if got.FailureCount != 0 {
				t.Errorf("it counted as %d failures", got.FailureCount)
			}
		}
		p.verify(t, 1, ids(exports)...)
	})
}

func TestStopLetsAttemptsEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		g := pausing(p, "publish")
		exports := w.accept(w.connection(), 1)
		e := w.run(w.options(registry{erpType: p}))
		<-g.reached
		time.AfterFunc(200*time.Millisecond, func() { close(g.open) })
		stop(t, e)
		if got := w.get(exports[0]); got.Status != domain.Sent {
			t.Errorf("after the stop it is %s", got.Status)
		}
	})
}

func TestStopCutsShortWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		saved bool // a checkpoint
		want  string
	}{
		{"nothing was made: deferred", false, "DEFERRED"},
		{"something may have been made: lost", true, "LOST"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				p, hanging := newERP(), make(chan struct{})
				p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
					if tc.saved {
						if refused := p.stage(ctx, start.GetExportId(), sink); refused != nil {
							return &connectorv1.ExportResult{Error: refused}, nil
						}
					}
					close(hanging)
					<-ctx.Done()
					return nil, ctx.Err()
				}
				exports := w.accept(w.connection(), 1)
				o := w.options(registry{erpType: p})
				o.Knobs.DrainGrace = 50 * time.Millisecond
				e := w.run(o)
				<-hanging
				stop(t, e)
				got := w.get(exports[0])
				if got.Status != domain.Pending || got.FailureCount != 0 || got.Lease != nil || w.outcomes(got) != tc.want {
					t.Errorf("it is %s with %d failures, lease %v, attempts %s", got.Status, got.FailureCount, got.Lease, w.outcomes(got))
				}
				p.set(func() { p.deliver = nil })
				w.run(w.options(registry{erpType: p}))
				w.await(domain.Sent, exports...)
				p.verify(t, 1, got.ID)
			})
		})
	}
}

// stuck is a store whose look for due connections does not end before its
// channel is closed, whatever its caller says.
type stuck struct {
	store.Store
	looks atomic.Int32
	end   chan struct{}
}

func (s *stuck) DueConnections(ctx context.Context, types []string) ([]domain.Connection, error) {
	if s.looks.Add(1) > 1 {
		<-s.end
	}
	return s.Store.DueConnections(ctx, types)
}

func TestAStopThatRunsOutOfTimeCutsShortWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := onSQLite(t)
	p := newERP()
	begun, cut := make(chan struct{}), make(chan struct{})
	p.deliver = func(ctx context.Context, _ *connectorv1.ExportStart, _ connector.Sink) (*connectorv1.ExportResult, error) {
		close(begun)
		<-ctx.Done()
		close(cut)
		return nil, ctx.Err()
	}
	w.accept(w.connection(), 1)
	s := &stuck{Store: w.store, end: make(chan struct{})}
	o := w.options(registry{erpType: p})
	o.Store = s
	o.Knobs.AttemptTimeout = time.Hour // it does not end by itself
	e := delivery.New(o)
	must(t, e.Start(t.Context()))
	<-begun
	eventually(t, "the sweep is stuck", func() bool { return s.looks.Load() > 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Stop(ctx); err == nil {
		t.Error("the stop says that all has ended")
	}
	select {
	case <-cut:
	case <-time.After(10 * time.Second):
		t.Error("the attempt runs on")
	}
	close(s.end)
}

func TestAStoppedHostIsMarkedStopped(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		e := w.run(w.options(registry{erpType: newERP()}))
		stop(t, e)
		hosts, err := w.store.ListHosts(t.Context())
		must(t, err)
		if len(hosts) != 1 || hosts[0].StoppedAt == nil {
			t.Errorf("hosts %+v", hosts)
		}
	})
}
