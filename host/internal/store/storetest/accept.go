package storetest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

var acceptTests = map[string]func(w *World){
	"a new order gets a pending export": func(w *World) {
		order := w.Order()
		order.Export.IdempotencyKey = "key-a"
		answers, err := w.S.Accept(w.Ctx, []store.Acceptance{order})
		w.must(err)
		got := answers[0].Export
		want(w.T, "created", answers[0].Created, true)
		same(w.T, w.Get(order.Export.ID), got)
		want(w.T, "organization", got.OrgSlug, w.Org.Slug)
		want(w.T, "type", got.ConnectorType, connectorType)
		want(w.T, "number", *got.ExternalOrderNumber, *order.Draft.ExternalOrderNumber)
		want(w.T, "status", got.Status, domain.Pending)
		want(w.T, "format", got.FormatVersion, domain.FormatVersion)
		want(w.T, "key", got.IdempotencyKey, "key-a")
		want(w.T, "created at", got.CreatedAt, order.Export.CreatedAt)
		want(w.T, "due", got.NextAttemptAt != nil, true)
		draft, err := w.S.DraftOrder(w.Ctx, w.Org.ID, order.Draft.ID)
		w.must(err)
		same(w.T, draft, order.Draft)
	},
	"an order without an external number has none": func(w *World) {
		order := w.Order()
		order.Draft.ExternalOrderNumber = nil
		e := w.Accept(order)[0]
		want(w.T, "number", e.ExternalOrderNumber, nil)
		want(w.T, "number", w.Get(e.ID).ExternalOrderNumber, nil)
	},
	"the same order again answers with the first export": func(w *World) {
		order := w.Order()
		first := w.Accept(order)[0]
		again := w.acceptOne(Again(order))
		w.must(again.Err)
		want(w.T, "created", again.Created, false)
		same(w.T, again.Export, first)
	},
	"the same id with other content is refused": func(w *World) {
		order := w.Order()
		w.Accept(order)
		other := Again(order)
		withContent(&other, `{"id":"x","qty":"11"}`)
		wantFault(w.T, w.acceptOne(other).Err, fault.Conflict, "order_differs")
		draft, err := w.S.DraftOrder(w.Ctx, w.Org.ID, order.Draft.ID)
		w.must(err)
		same(w.T, draft, order.Draft)
	},
	"the same key again answers with the first export": func(w *World) {
		order := w.Order()
		order.Export.IdempotencyKey = "key-a"
		first := w.Accept(order)[0]
		again := w.acceptOne(Again(order))
		w.must(again.Err)
		want(w.T, "export", again.Export.ID, first.ID)
	},
	"the same key for another order is refused and leaves nothing behind": func(w *World) {
		order, other := w.Order(), w.Order()
		order.Export.IdempotencyKey, other.Export.IdempotencyKey = "key-a", "key-a"
		w.Accept(order)
		wantFault(w.T, w.acceptOne(other).Err, fault.Conflict, "idempotency_key_reused")
		_, err := w.S.DraftOrder(w.Ctx, w.Org.ID, other.Draft.ID)
		wantFault(w.T, err, fault.NotFound, "draft_order_not_found")
		// The order itself is fine with a key of its own.
		other.Export.IdempotencyKey = "key-b"
		w.Accept(other)
	},
	"the same key with other content is refused": func(w *World) {
		order := w.Order()
		order.Export.IdempotencyKey = "key-a"
		w.Accept(order)
		other := Again(order)
		withContent(&other, `{"id":"x"}`)
		wantFault(w.T, w.acceptOne(other).Err, fault.Conflict, "idempotency_key_reused")
	},
	"two organizations may use the same key and the same order id": func(w *World) {
		mine := w.Order()
		mine.Export.IdempotencyKey = "key-a"
		theirs := Again(mine)
		c := w.NewConn(w.NewOrg().ID, connectorType)
		theirs.Draft.OrgID, theirs.Export.OrgID, theirs.Export.ConnectionID = c.OrgID, c.OrgID, c.ID
		w.Accept(mine, theirs)
	},
	"an order that is live elsewhere is refused": func(w *World) {
		order := w.Order()
		w.Accept(order)
		sap := w.NewConn(w.Org.ID, "SAP_RFC")
		elsewhere := Again(order)
		elsewhere.Export.ConnectionID = sap.ID
		wantFault(w.T, w.acceptOne(elsewhere).Err, fault.Conflict, "delivered_elsewhere")
	},
	"an order that failed answers with its latest export": func(w *World) {
		order := w.Order()
		w.Accept(order)
		claimed := w.Claim(1)[0].Export
		f := Ended(claimed, domain.OutcomeFailed, domain.Failed)
		f.Error = &domain.ExportError{Code: port.InvalidOrder, Message: "no customer"}
		w.Finish(f)
		again := w.acceptOne(Again(order))
		w.must(again.Err)
		want(w.T, "export", again.Export.ID, claimed.ID)
		want(w.T, "status", again.Export.Status, domain.Failed)
		retried := w.retry(claimed.ID)
		again = w.acceptOne(Again(order))
		w.must(again.Err)
		want(w.T, "export after a retry", again.Export.ID, retried.ID)
	},
	"a batch answers in its order, with repetitions in it": func(w *World) {
		a, b := w.Order(), w.Order()
		differs := Again(a)
		withContent(&differs, `{}`)
		batch := []store.Acceptance{a, b, Again(a), differs, Again(b)}
		answers, err := w.S.Accept(w.Ctx, batch)
		w.must(err)
		want(w.T, "first", answers[0].Created, true)
		want(w.T, "second", answers[1].Created, true)
		want(w.T, "third", answers[2].Created, false)
		want(w.T, "third is the first", answers[2].Export.ID, a.Export.ID)
		wantFault(w.T, answers[3].Err, fault.Conflict, "order_differs")
		want(w.T, "fifth is the second", answers[4].Export.ID, b.Export.ID)
	},
	"a batch may use one key twice only for one order": func(w *World) {
		a, b := w.Order(), w.Order()
		a.Export.IdempotencyKey, b.Export.IdempotencyKey = "key-a", "key-a"
		answers, err := w.S.Accept(w.Ctx, []store.Acceptance{a, b, Again(a)})
		w.must(err)
		want(w.T, "first", answers[0].Created, true)
		wantFault(w.T, answers[1].Err, fault.Conflict, "idempotency_key_reused")
		want(w.T, "third is the first", answers[2].Export.ID, a.Export.ID)
		_, err = w.S.DraftOrder(w.Ctx, w.Org.ID, b.Draft.ID)
		wantFault(w.T, err, fault.NotFound, "draft_order_not_found")
	},
	"an order whose key is refused is accepted later in the batch with another": func(w *World) {
		a, b := w.Order(), w.Order()
		a.Export.IdempotencyKey, b.Export.IdempotencyKey = "key-a", "key-a"
		w.Accept(a)
		answers, err := w.S.Accept(w.Ctx, []store.Acceptance{b, Again(withoutKey(b))})
		w.must(err)
		wantFault(w.T, answers[0].Err, fault.Conflict, "idempotency_key_reused")
		want(w.T, "second", answers[1].Created, true)
	},
	"a batch of a thousand comes back whole, and once more as known": func(w *World) {
		batch := make([]store.Acceptance, 1000)
		for i := range batch {
			batch[i] = w.Order()
		}
		w.Accept(batch...)
		for i := range batch {
			batch[i] = Again(batch[i])
		}
		answers, err := w.S.Accept(w.Ctx, batch)
		w.must(err)
		for i, a := range answers {
			if a.Err != nil || a.Created || a.Export.DraftOrderID != batch[i].Draft.ID {
				w.T.Fatalf("answer %d: %+v", i, a)
			}
		}
		counts, err := w.S.CountExports(w.Ctx)
		w.must(err)
		want(w.T, "exports", counts[domain.Pending], 1000)
	},
	"an unknown connection is refused and nothing is accepted": func(w *World) {
		good, bad := w.Order(), w.Order()
		bad.Export.ConnectionID = uuid.New()
		_, err := w.S.Accept(w.Ctx, []store.Acceptance{good, bad})
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
		_, err = w.S.DraftOrder(w.Ctx, w.Org.ID, good.Draft.ID)
		wantFault(w.T, err, fault.NotFound, "draft_order_not_found")
	},
	"another organization's connection is refused": func(w *World) {
		order := w.Order()
		order.Export.ConnectionID = w.NewConn(w.NewOrg().ID, connectorType).ID
		_, err := w.S.Accept(w.Ctx, []store.Acceptance{order})
		wantFault(w.T, err, fault.NotFound, "connection_not_found")
	},
	"an export for another order than the draft's is refused": func(w *World) {
		order := w.Order()
		order.Export.DraftOrderID = uuid.New()
		if _, err := w.S.Accept(w.Ctx, []store.Acceptance{order}); err == nil {
			w.T.Fatal("accepted")
		}
	},
	"an empty batch is fine": func(w *World) {
		answers, err := w.S.Accept(w.Ctx, nil)
		w.must(err)
		want(w.T, "answers", len(answers), 0)
	},
	"another organization sees neither order nor export": func(w *World) {
		e := w.AcceptN(1)[0]
		other := w.NewOrg()
		_, err := w.S.Export(w.Ctx, other.ID, e.ID)
		wantFault(w.T, err, fault.NotFound, "export_not_found")
		_, err = w.S.DraftOrder(w.Ctx, other.ID, e.DraftOrderID)
		wantFault(w.T, err, fault.NotFound, "draft_order_not_found")
		_, err = w.S.Attempts(w.Ctx, other.ID, e.ID)
		wantFault(w.T, err, fault.NotFound, "export_not_found")
	},
	"one order accepted sixteen times at once gets one export": func(w *World) {
		order := w.Order()
		answers := together(w.T, 16, func(int) store.Accepted { return w.acceptOne(Again(order)) })
		oneCreated(w.T, answers)
	},
}

func withoutKey(a store.Acceptance) store.Acceptance {
	a.Export.IdempotencyKey = ""
	return a
}

func (w *World) acceptOne(a store.Acceptance) store.Accepted {
	w.T.Helper()
	answers, err := w.S.Accept(w.Ctx, []store.Acceptance{a})
	if err != nil {
		w.T.Errorf("accept: %v", err)
		return store.Accepted{Err: err}
	}
	return answers[0]
}

// together runs f n times at once.
func together[T any](t testing.TB, n int, f func(i int) T) []T {
	t.Helper()
	results := make([]T, n)
	done := make(chan struct{})
	start := make(chan struct{})
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			<-start
			results[i] = f(i)
		}()
	}
	close(start)
	for range n {
		<-done
	}
	return results
}

func oneCreated(t testing.TB, answers []store.Accepted) {
	t.Helper()
	created := 0
	ids := map[uuid.UUID]bool{}
	for _, a := range answers {
		if a.Err != nil {
			t.Fatalf("refused: %v", a.Err)
		}
		if a.Created {
			created++
		}
		ids[a.Export.ID] = true
	}
	want(t, "created", created, 1)
	want(t, "different exports", len(ids), 1)
}
