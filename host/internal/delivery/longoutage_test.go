package delivery_test

import (
	"context"
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// overrun is a line behind which every lease is over from the start by more
// than anybody waits, as after an outage of minutes.
type overrun struct{ *line }

func (o overrun) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	req.Lease = -2 * time.Minute
	return o.line.Claim(ctx, req)
}

// TestAResultIsRecordedHoweverLongTheDatabaseWasAway lets the database go away
// between the delivery and its result, for longer than the attempt was leased.
// Where the connector can't find out what has happened, a host that took over
// then would make OUTCOME_UNKNOWN of what another one knows.
func TestAResultIsRecordedHoweverLongTheDatabaseWasAway(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string]int{"with one host": 1, "with another host that comes back first": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, open := onPostgres(t)
			p := newERP(connectorv1.Capability_CAPABILITY_ACKS)
			l := &line{Store: open()}
			p.deliver = func(_ context.Context, start *connectorv1.ExportStart, _ connector.Sink) (*connectorv1.ExportResult, error) {
				l.cut.Store(true)
				return &connectorv1.ExportResult{Success: true, ExportId: start.GetExportId()}, nil
			}
			exports := w.accept(w.connection(), 1)
			o := w.options(registry{erpType: p})
			o.Store = overrun{l}
			// What follows is about expired leases, not about silent hosts.
			o.Knobs.DeadAfter = 5 * time.Second
			w.run(o)
			eventually(t, "the database is away", l.cut.Load)
			if hosts > 1 {
				// It reaches the database again, and the first one doesn't yet.
				second := w.options(registry{erpType: newERP(connectorv1.Capability_CAPABILITY_ACKS)})
				second.Knobs.DeadAfter = o.Knobs.DeadAfter
				w.run(second)
				w.sweepsPass(10)
			}
			l.cut.Store(false)
			got := w.await(domain.Sent, exports...)[0]
			if w.outcomes(got) != "DELIVERED" {
				t.Errorf("attempts %s", w.outcomes(got))
			}
		})
	}
}

// unfinished is an overrun store that takes no results until it is let.
type unfinished struct {
	overrun
	taken chan struct{}
}

func (u unfinished) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	select {
	case <-u.taken:
		return u.overrun.FinishAll(ctx, finishes)
	default:
		return nil, errAway
	}
}

// TestAHostDoesNotOvertakeItsOwnResult has a host take longer to record a result
// than it waits for others to do so.
func TestAHostDoesNotOvertakeItsOwnResult(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP(connectorv1.Capability_CAPABILITY_ACKS)
		delivered := make(chan struct{})
		p.deliver = func(_ context.Context, start *connectorv1.ExportStart, _ connector.Sink) (*connectorv1.ExportResult, error) {
			close(delivered)
			return &connectorv1.ExportResult{Success: true, ExportId: start.GetExportId()}, nil
		}
		exports := w.accept(w.connection(), 1)
		o := w.options(registry{erpType: p})
		s := unfinished{overrun{&line{Store: sweptStore{w.store, &w.sweeps}}}, make(chan struct{})}
		o.Store = s
		w.run(o)
		<-delivered
		w.sweepsPass(2 * int32(o.Knobs.DeadAfter/o.Knobs.SweepEvery))
		close(s.taken)
		got := w.await(domain.Sent, exports...)[0]
		if w.outcomes(got) != "DELIVERED" {
			t.Errorf("attempts %s", w.outcomes(got))
		}
	})
}

// forgetful is a line of a host that forgets its first claim, whose lease is
// over from the start. What it claims when it lives again is leased as always.
type forgetful struct{ *mortal }

func (f forgetful) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	select {
	case <-f.died:
		return f.mortal.Claim(ctx, req)
	default:
		return overrun{&line{Store: f.mortal}}.Claim(ctx, req)
	}
}

// TestAnAttemptThatItsHostForgotIsTakenOver is the other side: a lease that is
// over ends the attempt of a host that lives and knows nothing of it.
func TestAnAttemptThatItsHostForgotIsTakenOver(t *testing.T) {
	t.Parallel()
	w, open := onPostgres(t)
	p := newERP()
	exports := w.accept(w.connection(), 1)
	s := forgetful{newMortal(open(), afterClaim)}
	o := w.options(registry{erpType: p})
	o.Store = s
	o.Knobs.SweepEvery = time.Hour // it does not look for what it has lost
	w.run(o)
	<-s.died
	s.wake() // it lives on
	w.run(w.options(registry{erpType: p}))
	got := w.await(domain.Sent, exports...)[0]
	if w.outcomes(got) != "LOST DELIVERED" {
		t.Errorf("attempts %s", w.outcomes(got))
	}
}
