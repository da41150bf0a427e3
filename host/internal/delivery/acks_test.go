package delivery_test

import (
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/domain"
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
