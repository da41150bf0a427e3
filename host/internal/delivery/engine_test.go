package delivery_test

import (
	"testing"

	"github.com/orderport/orderport/host/internal/domain"
)

func TestAcceptedOrdersReachTheERPOnceAndAreSent(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p := newERP()
	e := w.run(w.options(registry{erpType: p}))
	conn := w.connection()
	exports := w.accept(conn, 100)
	e.Nudge(conn.ID)
	for _, got := range w.await(domain.Sent, exports...) {
		if got.StorageKey == "" || got.PayloadSize == 0 || got.ExternalRef != "ref-"+got.ID.String() || got.AttemptCount != 1 {
			t.Errorf("export is recorded as %+v", got)
		}
	}
	p.verify(t, 1, ids(exports)...)
}
