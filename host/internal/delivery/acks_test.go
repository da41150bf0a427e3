package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

func ackOf(e domain.Export, number string) *connectorv1.FetchAcksResponse {
	return &connectorv1.FetchAcksResponse{
		Handle: "ack-" + e.ID.String(), ExternalRef: "ref-" + e.ID.String(),
		Answer: &connectorv1.FetchAcksResponse_Positive{Positive: &connectorv1.PositiveAck{ErpOrderId: number}},
	}
}

func TestWhatTheERPAnswersLaterEndsTheExport(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		o := w.options(registry{erpType: p})
		o.Knobs.Acks.Every = 50 * time.Millisecond
		exports := w.accept(w.connection(), 2)
		w.run(o)
		w.await(domain.Sent, exports...)
		p.set(func() {
			p.acks = append(p.acks, ackOf(exports[0], "SO-1"), &connectorv1.FetchAcksResponse{
				Handle: "no", ExternalRef: "ref-" + exports[1].ID.String(),
				Answer: &connectorv1.FetchAcksResponse_Negative{Negative: &connectorv1.NegativeAck{ErrorCode: "E17", Message: "no such article"}},
			})
		})
		if got := w.await(domain.Acked, exports[0])[0]; got.ERPOrderID != "SO-1" {
			t.Errorf("the ERP's order number is %q", got.ERPOrderID)
		}
		if got := w.await(domain.Failed, exports[1])[0]; got.Error == nil {
			t.Error("a negative ack left no error")
		}
		eventually(t, "both acks are put away", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.settled) == 2
		})
	})
}

func TestAnAckThatComesBeforeTheResultIsRecordedIsKept(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		g := pausing(p, "result")
		conn := w.connection()
		exports := w.accept(conn, 1)
		e := w.run(w.options(registry{erpType: p}))
		<-g.reached
		p.set(func() { p.acks = append(p.acks, ackOf(exports[0], "SO-1")) })
		must(t, e.PollAcks(t.Context(), conn.ID))
		w.await(domain.Acked, exports...)
		close(g.open)
		eventually(t, "the attempt has ended", func() bool { return w.outcomes(exports[0]) == "DELIVERED" })
		if got := w.get(exports[0]); got.Status != domain.Acked || got.ERPOrderID != "SO-1" || got.DropzonePath == "" {
			t.Errorf("afterwards it is %s, %q, at %q", got.Status, got.ERPOrderID, got.DropzonePath)
		}
	})
}

// tally counts what became of acks, over all hosts.
type tally struct {
	mu     sync.Mutex
	counts map[acks.Verdict]int
}

func (c *tally) AttemptEnded(string, domain.Outcome, port.Code, time.Duration) {}
func (c *tally) Superseded(string)                                             {}
func (c *tally) CircuitMoved(string, domain.HealthState, port.Code)            {}
func (c *tally) TakenOver(int)                                                 {}
func (c *tally) AcksSettled(_ string, verdict acks.Verdict, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[acks.Verdict]int)
	}
	c.counts[verdict] += n
}

// onlyOnDemand keeps hosts from polling a connection unless they are told to:
// they leave alone what is down.
func (w *world) onlyOnDemand(c domain.Connection) {
	w.t.Helper()
	later := time.Now().Add(time.Hour)
	must(w.t, w.store.SetHealth(context.Background(), c.ID, c.UpdatedAt, domain.Health{State: domain.Down, NextProbeAt: &later}))
}

// TestTwoHostsThatPollTheSameAcksApplyEachOnce has both fetch all acks before
// either commits one.
func TestTwoHostsThatPollTheSameAcksApplyEachOnce(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP()
	conn := w.connection()
	exports := w.accept(conn, 300)
	w.run(w.options(registry{erpType: p}))
	w.await(domain.Sent, exports...)
	w.onlyOnDemand(conn)
	p.set(func() {
		for _, e := range exports {
			p.acks = append(p.acks, ackOf(e, "SO-"+e.ID.String()))
		}
	})
	var fetched sync.WaitGroup
	fetched.Add(2)
	var polls sync.WaitGroup
	both := &tally{}
	for range 2 {
		o := w.options(registry{erpType: p})
		o.Store, o.Observer = &afterFetch{Store: open(), fetched: &fetched}, both
		e := w.run(o)
		polls.Go(func() {
			if err := e.PollAcks(t.Context(), conn.ID); err != nil {
				t.Error(err)
			}
		})
	}
	polls.Wait()
	for _, got := range w.await(domain.Acked, exports...) {
		if got.ERPOrderID != "SO-"+got.ID.String() {
			t.Errorf("the ERP's order number is %q", got.ERPOrderID)
		}
	}
	want := map[acks.Verdict]int{acks.Applied: 300, acks.Repeated: 300}
	if diff := cmp.Diff(want, both.counts); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for handle, s := range p.settled {
		if s.GetVerdict() != connectorv1.Verdict_VERDICT_PROCESSED {
			t.Errorf("%s was settled as %s", handle, s.GetVerdict())
		}
	}
}

// afterFetch is a store that counts exports in flight, which a poll does
// between fetch and commit, only when all hosts have come so far.
type afterFetch struct {
	store.Store
	once    sync.Once
	fetched *sync.WaitGroup
}

func (s *afterFetch) InFlight(ctx context.Context, id uuid.UUID) (int, error) {
	s.once.Do(func() {
		s.fetched.Done()
		s.fetched.Wait()
	})
	return s.Store.InFlight(ctx, id)
}

// TestAcksMayBeInterruptedAtAnyInstant breaks a poll off at each instant, and
// polls again: with the database away, or only its answer.
func TestAcksMayBeInterruptedAtAnyInstant(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		at   instant
		then map[acks.Verdict]int // what the second poll makes of the same acks
	}{
		{"before the acks commit", map[acks.Verdict]int{acks.Applied: 2}},
		{"after the acks commit", map[acks.Verdict]int{acks.Repeated: 2}},
	} {
		t.Run(string(tc.at), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				p, seen := newERP(), &tally{}
				conn := w.connection()
				exports := w.accept(conn, 2)
				o := w.options(registry{erpType: p})
				o.Store, o.Observer = &ackFlaw{Store: w.store, at: tc.at}, seen
				e := w.run(o)
				w.await(domain.Sent, exports...)
				w.onlyOnDemand(conn)
				p.set(func() {
					p.acks = append(p.acks, ackOf(exports[0], "SO-1"), &connectorv1.FetchAcksResponse{
						Handle: "no", ExternalRef: "ref-" + exports[1].ID.String(),
						Answer: &connectorv1.FetchAcksResponse_Negative{Negative: &connectorv1.NegativeAck{ErrorCode: "E17", Message: "no such article"}},
					})
				})
				if err := e.PollAcks(t.Context(), conn.ID); err == nil {
					t.Error("a poll whose commit failed says that it worked")
				}
				p.mu.Lock()
				settled := len(p.settled)
				p.mu.Unlock()
				if settled != 0 {
					t.Fatalf("%d acks were settled that nobody knows to be committed", settled)
				}
				must(t, e.PollAcks(t.Context(), conn.ID))
				w.await(domain.Acked, exports[0])
				w.await(domain.Failed, exports[1])
				if diff := cmp.Diff(tc.then, seen.counts); diff != "" {
					t.Errorf("verdicts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// ackFlaw fails to apply acks once: before they are committed, or after.
type ackFlaw struct {
	store.Store
	at   instant
	once sync.Once
}

func (f *ackFlaw) ApplyAcks(ctx context.Context, id uuid.UUID, batch []store.Ack, actor string) (verdicts []store.AckVerdict, err error) {
	f.once.Do(func() {
		if f.at == "after the acks commit" {
			_, err = f.Store.ApplyAcks(ctx, id, batch, actor)
		}
		if err == nil {
			err = errAway
		}
	})
	if err != nil {
		return nil, err
	}
	return f.Store.ApplyAcks(ctx, id, batch, actor)
}
