package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// Wake stands for a driver's own Wake, without the transaction.
type Wake func(ctx context.Context, connectionIDs []uuid.UUID) error

// RunWake checks when a store wakes connections. open returns a store on a new
// database that calls wake in its transactions.
func RunWake(t *testing.T, open func(t *testing.T, wake Wake) store.Store) {
	for name, test := range wakeTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bell{}
			test(NewWorld(t, open(t, b.ring)), b)
		})
	}
}

// bell records who was woken; err makes it refuse.
type bell struct {
	mu    sync.Mutex // guards both
	woken []uuid.UUID
	err   error
}

func (b *bell) ring(_ context.Context, ids []uuid.UUID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woken = append(b.woken, ids...)
	return b.err
}

func (b *bell) refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// take returns who was woken since the last call, sorted.
func (b *bell) take() []uuid.UUID {
	b.mu.Lock()
	defer b.mu.Unlock()
	woken := sorted(b.woken...)
	b.woken = nil
	return woken
}

func sorted(ids ...uuid.UUID) []uuid.UUID {
	ids = append([]uuid.UUID{}, ids...)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

var errRefused = errors.New("the queue refuses")

var wakeTests = map[string]func(w *World, b *bell){
	"accepting wakes each connection with a new export once": func(w *World, b *bell) {
		sap := w.NewConn(w.Org.ID, "SAP_RFC")
		known := w.Order()
		w.Accept(known, w.Order(), w.OrderFor(sap), w.OrderFor(sap))
		same(w.T, b.take(), sorted(w.Conn.ID, sap.ID))
		w.must(w.acceptOne(Again(known)).Err)
		same(w.T, b.take(), sorted())
	},
	"a retry wakes": func(w *World, b *bell) {
		failed := w.FailWith(rejected)
		b.take()
		w.retry(failed.ID)
		same(w.T, b.take(), sorted(w.Conn.ID))
	},
	"a new config and enabling wake, disabling does not": func(w *World, b *bell) {
		_, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, w.Conn.Sealed, w.audit(w.Org.ID, "connection.update"))
		w.must(err)
		same(w.T, b.take(), sorted(w.Conn.ID))
		w.setStatus(domain.Disabled)
		same(w.T, b.take(), sorted())
		w.setStatus(domain.Active)
		same(w.T, b.take(), sorted(w.Conn.ID))
	},
	"an order is not accepted if its wake-up is refused": func(w *World, b *bell) {
		b.refuse(errRefused)
		order := w.Order()
		_, err := w.S.Accept(w.Ctx, []store.Acceptance{order})
		want(w.T, "refused", errors.Is(err, errRefused), true)
		_, err = w.S.DraftOrder(w.Ctx, w.Org.ID, order.Draft.ID)
		wantFault(w.T, err, fault.NotFound, "draft_order_not_found")
		b.refuse(nil)
		w.Accept(order)
	},
	"nothing else is changed either if the wake-up is refused": func(w *World, b *bell) {
		failed := w.FailWith(rejected)
		b.refuse(errRefused)
		want(w.T, "retry refused", errors.Is(w.retryOver(failed.ID, w.Conn.ID), errRefused), true)
		want(w.T, "exports of the order", len(w.listIDs(store.ExportFilter{DraftOrderID: failed.DraftOrderID}, 10)), 1)
		_, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, domain.SealedConfig{Blob: []byte("new")}, w.audit(w.Org.ID, "connection.update"))
		want(w.T, "update refused", errors.Is(err, errRefused), true)
		c, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		same(w.T, c, w.Conn)
		want(w.T, "audit entries", w.countAudit("connection.update")+w.countAudit("export.retry"), 0)
	},
}

func (w *World) setStatus(status domain.ConnectionStatus) {
	w.T.Helper()
	_, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, status, w.audit(w.Org.ID, "connection.status"))
	w.must(err)
}
