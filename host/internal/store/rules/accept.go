package rules

import (
	"errors"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// ErrUnanswered says that an order could neither be inserted nor found.
var ErrUnanswered = errors.New("an order could neither be accepted nor found")

// Known is what the database holds about an Acceptance that was not inserted.
type Known struct {
	Key    *KeyOwner      // the export that has the idempotency key; nil: none
	SHA256 *[32]byte      // of the draft order with that id; nil: none
	Latest *domain.Export // of that draft order: the live one, else the newest
	// WantedType is the connector type of the connection that was asked for.
	WantedType string
}

// KeyOwner is the order whose export carries an idempotency key.
type KeyOwner struct {
	DraftOrderID uuid.UUID
	SHA256       [32]byte
}

// Answer answers an Acceptance from what is known; false if nothing is.
func Answer(a store.Acceptance, k Known) (store.Accepted, bool) {
	if k.Key != nil && (k.Key.DraftOrderID != a.Draft.ID || k.Key.SHA256 != a.Draft.SHA256) {
		return store.Accepted{Err: fault.New(fault.Conflict, "idempotency_key_reused",
			"this idempotency key was used for another order or other content")}, true
	}
	if k.SHA256 == nil || k.Latest == nil {
		return store.Accepted{}, false
	}
	if *k.SHA256 != a.Draft.SHA256 {
		return store.Accepted{Err: fault.New(fault.Conflict, "order_differs",
			"a draft order with this id and other content was accepted before")}, true
	}
	if k.Latest.Status != domain.Failed && k.WantedType != k.Latest.ConnectorType {
		return store.Accepted{Err: fault.New(fault.Conflict, "delivered_elsewhere",
			"the order is delivered over a connection of type %s", k.Latest.ConnectorType)}, true
	}
	return store.Accepted{Export: *k.Latest}, true
}

// Round is one round of an Accept: indexes into the batch.
type Round struct {
	Insert []int // the first of each order and of each key; try to insert
	Rest   []int // look up after the insert
}

type orgOrder struct{ org, order uuid.UUID }

type orgKey struct {
	org uuid.UUID
	key string
}

// NextRound splits what is unanswered so that no order and no idempotency key
// is inserted twice by one statement.
func NextRound(batch []store.Acceptance, unanswered []int) Round {
	var r Round
	orders := make(map[orgOrder]bool, len(unanswered))
	keys := map[orgKey]bool{}
	for _, i := range unanswered {
		order := orgOrder{batch[i].Draft.OrgID, batch[i].Draft.ID}
		key := orgKey{batch[i].Draft.OrgID, batch[i].Export.IdempotencyKey}
		if orders[order] || key.key != "" && keys[key] {
			r.Rest = append(r.Rest, i)
			continue
		}
		orders[order] = true
		keys[key] = true
		r.Insert = append(r.Insert, i)
	}
	return r
}

// CheckBatch refuses a batch whose parts contradict each other: a mistake of
// the program, not of a user.
func CheckBatch(batch []store.Acceptance) error {
	for i := range batch {
		d, e := &batch[i].Draft, &batch[i].Export
		if d.OrgID != e.OrgID || d.ID != e.DraftOrderID || e.ID == uuid.Nil {
			return fault.New(fault.Internal, "internal", "item %d: export and draft order do not belong together", i)
		}
	}
	return nil
}
