package delivery_test

import (
	"context"
	"sync"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

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
