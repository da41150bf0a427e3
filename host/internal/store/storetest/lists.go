package storetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

var listTests = map[string]func(w *World){
	"exports are listed from new to old, page by page, over all connections and states": func(w *World) {
		var expected []uuid.UUID
		w.NewConn(w.Org.ID, "SAP_RFC")
		conns, err := w.S.ListConnections(w.Ctx, w.Org.ID)
		w.must(err)
		base := now().Add(-time.Hour)
		for i := range 11 {
			order := w.OrderFor(conns[i%2])
			order.Export.CreatedAt = base.Add(time.Duration(i/3) * time.Second) // some at the same time
			expected = append(expected, w.Accept(order)[0].ID)
		}
		w.Finish(Delivered(w.Claim(1)[0].Export))
		got := w.listIDs(store.ExportFilter{}, 3)
		want(w.T, "exports", len(got), len(expected))
		slices.SortFunc(expected, func(a, b uuid.UUID) int { return newestFirst(w.Get(a), w.Get(b)) })
		same(w.T, got, expected)
	},
	"a list is narrowed by state": func(w *World) {
		sent := w.Deliver(2)
		failed := w.FailWith(&domain.ExportError{Code: port.InvalidOrder, Message: "x"})
		w.AcceptN(3)
		want(w.T, "sent", len(w.listIDs(store.ExportFilter{Status: domain.Sent}, 10)), len(sent))
		same(w.T, w.listIDs(store.ExportFilter{Status: domain.Failed}, 10), []uuid.UUID{failed.ID})
		want(w.T, "pending", len(w.listIDs(store.ExportFilter{Status: domain.Pending}, 1)), 3)
		want(w.T, "acked", len(w.listIDs(store.ExportFilter{Status: domain.Acked}, 10)), 0)
	},
	"a list is narrowed by draft order": func(w *World) {
		failed := w.FailWith(&domain.ExportError{Code: port.InvalidOrder, Message: "x"})
		w.AcceptN(2)
		retried := w.retry(failed.ID)
		filter := store.ExportFilter{DraftOrderID: failed.DraftOrderID}
		same(w.T, w.listIDs(filter, 1), []uuid.UUID{retried.ID, failed.ID})
		filter.Status = domain.Failed
		same(w.T, w.listIDs(filter, 10), []uuid.UUID{failed.ID})
		filter.Since = failed.CreatedAt.Add(time.Microsecond)
		want(w.T, "since later", len(w.listIDs(filter, 10)), 0)
		filter = store.ExportFilter{DraftOrderID: failed.DraftOrderID, ConnectionID: uuid.New()}
		want(w.T, "over another connection", len(w.listIDs(filter, 10)), 0)
	},
	"a list is narrowed by connection": func(w *World) {
		sap := w.NewConn(w.Org.ID, "SAP_RFC")
		w.AcceptN(2)
		theirs := w.Accept(w.OrderFor(sap))[0]
		same(w.T, w.listIDs(store.ExportFilter{ConnectionID: sap.ID}, 10), []uuid.UUID{theirs.ID})
		want(w.T, "of no connection", len(w.listIDs(store.ExportFilter{ConnectionID: uuid.New()}, 10)), 0)
	},
	"a list is narrowed by time": func(w *World) {
		old, young := w.Order(), w.Order()
		old.Export.CreatedAt = now().Add(-time.Hour)
		w.Accept(old, young)
		same(w.T, w.listIDs(store.ExportFilter{Since: young.Export.CreatedAt}, 10), []uuid.UUID{young.Export.ID})
		want(w.T, "since before", len(w.listIDs(store.ExportFilter{Since: old.Export.CreatedAt}, 10)), 2)
	},
	"a list shows its own organization only": func(w *World) {
		w.AcceptN(1)
		other := w.NewOrg()
		exports, next, err := w.S.ListExports(w.Ctx, other.ID, store.ExportFilter{}, store.Page{Limit: 10})
		w.must(err)
		want(w.T, "exports", len(exports), 0)
		want(w.T, "next", next, "")
		exports, _, err = w.S.ListExports(w.Ctx, other.ID, store.ExportFilter{ConnectionID: w.Conn.ID}, store.Page{Limit: 10})
		w.must(err)
		want(w.T, "exports of another's connection", len(exports), 0)
	},
	"a cursor that can't be read is malformed and names its field": func(w *World) {
		for _, cursor := range []string{"nonsense", "AAAA", "%"} {
			_, _, err := w.S.ListExports(w.Ctx, w.Org.ID, store.ExportFilter{}, store.Page{Limit: 1, Cursor: cursor})
			wantFault(w.T, err, fault.Malformed, "bad_cursor")
			want(w.T, "field", fault.From(err).Violations[0].Path, "cursor")
		}
	},
	"exports are counted by state over all organizations": func(w *World) {
		w.Deliver(2)
		w.AcceptN(1)
		w.Accept(w.OrderFor(w.NewConn(w.NewOrg().ID, connectorType)))
		counts, err := w.S.CountExports(w.Ctx)
		w.must(err)
		want(w.T, "pending", counts[domain.Pending], 2)
		want(w.T, "sent", counts[domain.Sent], 2)
	},
}

func newestFirst(a, b domain.Export) int {
	if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
		return c
	}
	return slices.Compare(b.ID[:], a.ID[:])
}

// listIDs reads a whole list in pages.
func (w *World) listIDs(f store.ExportFilter, limit int) []uuid.UUID {
	w.T.Helper()
	var ids []uuid.UUID
	page := store.Page{Limit: limit}
	for {
		exports, next, err := w.S.ListExports(w.Ctx, w.Org.ID, f, page)
		w.must(err)
		for _, e := range exports {
			ids = append(ids, e.ID)
		}
		if next == "" {
			return ids
		}
		want(w.T, "length of a page that is not the last", len(exports), limit)
		page.Cursor = next
	}
}
