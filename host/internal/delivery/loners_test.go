package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
)

// TestASuspectThatHangsHoldsUpNoOtherConnections has exports of two connections
// under way when their connector dies. Run alone, that of the first hangs.
func TestASuspectThatHangsHoldsUpNoOtherConnections(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	hanging, other := w.connection(), w.connection()
	var both sync.WaitGroup
	both.Add(2)
	hangs := make(chan struct{})
	var once sync.Once
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		mine := start.GetConnection().GetId() == hanging.ID.String()
		switch {
		case !isAlone(ctx):
			both.Done()
			both.Wait()
			return nil, &connector.CrashError{Type: erpType, Reason: "signal 9"}
		case mine:
			once.Do(func() { close(hangs) })
			<-ctx.Done()
			return nil, ctx.Err()
		}
		<-hangs
		return p.honest(ctx, start, sink)
	}
	stuck, exports := w.accept(hanging, 1), w.accept(other, 1)
	w.run(w.options(registry{erpType: p}))
	w.await(domain.Sent, exports...)
	if got := w.get(stuck[0]); got.Status != domain.Pending || got.Lease == nil {
		t.Errorf("the hanging export is %s, lease %v: it should hang on", got.Status, got.Lease)
	}
}

// TestAConnectionWithAKillerIsNotTrustedWithTheSharedProcess hands in many
// orders that kill their connector, among innocent ones of the same connection,
// one after the other: all at once they would share one death.
func TestAConnectionWithAKillerIsNotTrustedWithTheSharedProcess(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := newERP()
		conn := w.connection()
		var mu sync.Mutex
		guilty := make(map[string]bool)
		deaths := 0 // of the process that all share
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			mu.Lock()
			kills := guilty[start.GetExportId()]
			if kills && !isAlone(ctx) {
				deaths++
			}
			mu.Unlock()
			if !kills {
				return p.honest(ctx, start, sink)
			}
			return nil, &connector.CrashError{Type: erpType, Reason: "signal 11"}
		}
		o := w.options(registry{erpType: p})
		o.Knobs.RetryFirst = 10 * time.Millisecond
		e := w.run(o)
		var innocent []domain.Export
		for i := range 30 {
			mu.Lock() // until it is known what the order does
			export := w.accept(conn, 1)[0]
			guilty[export.ID.String()] = i%2 == 0
			mu.Unlock()
			e.Nudge(conn.ID)
			if i%2 != 0 {
				innocent = append(innocent, export)
				w.await(domain.Sent, export)
				continue
			}
			if got := w.await(domain.Failed, export)[0]; got.Error.Code != port.ConnectorCrashed {
				t.Errorf("a killer ended with %+v", got.Error)
			}
		}
		p.verify(t, 1, ids(innocent)...)
		mu.Lock()
		defer mu.Unlock()
		if deaths != 1 {
			t.Errorf("%d of 15 killers were let into the process that all share, want the first only", deaths)
		}
	})
}

// TestProbationEnds shows that the connection is trusted again.
func TestProbationEnds(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	conn := w.connection()
	killer := w.accept(conn, 1)[0]
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if start.GetExportId() == killer.ID.String() {
			return nil, &connector.CrashError{Type: erpType, Reason: "signal 11"}
		}
		return p.honest(ctx, start, sink)
	}
	o := w.options(registry{erpType: p})
	o.Knobs.RetryFirst = 10 * time.Millisecond
	e := w.run(o)
	w.await(domain.Failed, killer)
	deliver := func(n int) (alone int) {
		before := p.isolatedCount()
		exports := w.accept(conn, n)
		e.Nudge(conn.ID)
		w.await(domain.Sent, exports...)
		return p.isolatedCount() - before
	}
	if alone := deliver(100); alone < 40 || alone > 60 {
		t.Errorf("%d of 100 exports ran alone after one had killed its connector, want about 50", alone)
	}
	if alone := deliver(20); alone != 0 {
		t.Errorf("%d of 20 exports ran alone when the others had gone well", alone)
	}
}
