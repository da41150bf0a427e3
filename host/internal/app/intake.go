package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/delivery/groupcommit"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// GroupLimit is how many orders one commit takes at most.
const GroupLimit = 500

// acceptDeadline bounds the wait for a database that does not take the order.
const acceptDeadline = 20 * time.Second

// maxKey bounds an idempotency key.
const maxKey = 255

type intakeStore interface {
	Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error)
	ActiveConnection(ctx context.Context, orgID uuid.UUID, connectorType string) (domain.Connection, error)
	ListExports(ctx context.Context, orgID uuid.UUID, f store.ExportFilter, page store.Page) ([]domain.Export, string, error)
	DraftOrder(ctx context.Context, orgID, id uuid.UUID) (domain.DraftOrder, error)
}

// Intake accepts draft orders. An order that it has answered for is in the
// database with its export and its wake-up (invariant 1 of the guarantee).
type Intake struct {
	store  intakeStore
	waker  Waker
	shared *groupcommit.Committer[*handIn]
}

// handIn is a single order on its way through a shared commit.
type handIn struct {
	order parsed
	out   Outcome // set by the commit, read once it is done
}

// newIntake returns an Intake whose single hand-ins share commits.
func newIntake(s intakeStore, w Waker) *Intake {
	in := &Intake{store: s, waker: w}
	in.shared = groupcommit.New(groupcommit.Options[*handIn]{Commit: in.commitShared, MaxBatch: GroupLimit})
	return in
}

// commitShared commits single hand-ins. Its error makes the group be tried
// again: a database that restarts costs its users a pause, and no error.
func (in *Intake) commitShared(ctx context.Context, hands []*handIn) ([]error, error) {
	orders := make([]parsed, len(hands))
	for i, hand := range hands {
		orders[i] = hand.order
	}
	outcomes := in.commit(ctx, orders)
	for i, out := range outcomes {
		if mayPass(out.Err) {
			return nil, out.Err
		}
		hands[i].out = out
	}
	return make([]error, len(hands)), nil
}

// mayPass reports whether a commit that failed so is worth a few more tries
// while its caller waits. A disk does not become empty in that time.
func mayPass(err error) bool {
	if err == nil {
		return false
	}
	switch f := fault.From(err); f.Kind {
	case fault.Internal:
		return true
	case fault.Unavailable:
		return f.Code != "database_full" && f.Code != "database_moved"
	default:
		return false
	}
}

// HandIn is one order as it was handed in.
type HandIn struct {
	Order []byte
	// ConnectorType may be empty if the organization has one active connection.
	ConnectorType  string
	IdempotencyKey string
}

// Outcome is the answer to one HandIn: an export, or Err.
type Outcome struct {
	Export  domain.Export
	Created bool
	Err     error
}

// parsed is an order that can be committed.
type parsed struct {
	orgID         uuid.UUID
	connectorType string
	key           string
	order         domain.DraftOrder
	// exportID is that of the export that will deliver it. It is random, not
	// ordered by time: names at the target use its first digits. It stays the
	// same when a commit is made again, so that its first try is recognised.
	exportID uuid.UUID
}

// Accept takes one order. When it returns without error the order is durable.
// Concurrent calls share commits; the same order again returns its export with
// Created false. Safe to call again after any error.
func (in *Intake) Accept(ctx context.Context, actor Actor, hand HandIn) (Outcome, error) {
	if err := actor.Authorize(CreateExport); err != nil {
		return Outcome{}, err
	}
	order, err := prepare(actor, hand)
	if err != nil {
		return Outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, acceptDeadline)
	defer cancel()
	shared := &handIn{order: order}
	if err := in.shared.Do(ctx, shared); err != nil {
		return Outcome{}, notStored(err)
	}
	return shared.out, shared.out.Err
}

// notStored is what the application is told when the database failed. Whether the
// order is in there can't be known.
func notStored(err error) error {
	return fault.New(fault.Unavailable, "database_unavailable", "the order could not be stored").
		WithHint("hand it in again: it is not delivered twice").Because(err)
}

// AcceptGroup takes up to GroupLimit orders in one commit. The answers are in
// the order of group; an order that is refused does not keep the others back.
func (in *Intake) AcceptGroup(ctx context.Context, actor Actor, group []HandIn) []Outcome {
	outcomes := make([]Outcome, len(group))
	if err := actor.Authorize(CreateExport); err != nil {
		for i := range outcomes {
			outcomes[i].Err = err
		}
		return outcomes
	}
	var orders []parsed
	var places []int
	for i, hand := range group {
		order, err := prepare(actor, hand)
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		orders, places = append(orders, order), append(places, i)
	}
	for i, out := range in.commit(ctx, orders) {
		if out.Err != nil && fault.From(out.Err).Kind == fault.Internal {
			out.Err = notStored(out.Err)
		}
		outcomes[places[i]] = out
	}
	return outcomes
}

// prepare parses and checks one order.
func prepare(actor Actor, hand HandIn) (parsed, error) {
	if err := CheckIdempotencyKey(hand.IdempotencyKey); err != nil {
		return parsed{}, err
	}
	order, err := draftorder.Parse(hand.Order)
	if err != nil {
		return parsed{}, err
	}
	return parsed{
		orgID: actor.OrgID, connectorType: hand.ConnectorType, key: hand.IdempotencyKey,
		order: order.Draft(actor.OrgID, now()), exportID: uuid.New(),
	}, nil
}

// CheckIdempotencyKey refuses keys that are too long or not plain ASCII.
func CheckIdempotencyKey(key string) error {
	bad := len(key) > maxKey
	for i := 0; i < len(key); i++ {
		bad = bad || key[i] < 0x20 || key[i] > 0x7e
	}
	if bad {
		return fault.New(fault.Invalid, "invalid_request", "the request is not valid").
			WithField("Idempotency-Key", "must be at most %d printable ASCII characters", maxKey)
	}
	return nil
}

// commit accepts orders, of any organizations, in one transaction, and wakes
// their connections. It answers for every order.
func (in *Intake) commit(ctx context.Context, orders []parsed) []Outcome {
	outcomes := make([]Outcome, len(orders))
	batch := make([]store.Acceptance, 0, len(orders))
	places := make([]int, 0, len(orders))
	find := in.connections(ctx)
	for i, order := range orders {
		conn, err := find(order.orgID, order.connectorType)
		if err != nil {
			outcomes[i] = in.known(ctx, order, err)
			continue
		}
		batch, places = append(batch, acceptance(order, conn)), append(places, i)
	}
	if len(batch) == 0 {
		return outcomes
	}
	accepted, err := in.store.Accept(ctx, batch)
	if err == nil && len(accepted) != len(batch) {
		err = fmt.Errorf("accept answered %d of %d orders", len(accepted), len(batch))
	}
	wake := map[uuid.UUID]bool{}
	for i, place := range places {
		if err != nil {
			outcomes[place].Err = fmt.Errorf("accept orders: %w", err)
			continue
		}
		a := accepted[i]
		created := a.Created || a.Export.ID == batch[i].Export.ID
		outcomes[place] = Outcome{Export: a.Export, Created: created, Err: a.Err}
		if created {
			wake[a.Export.ConnectionID] = true
		}
	}
	for id := range wake {
		in.waker.Nudge(id)
	}
	return outcomes
}

// connections finds each connection once per commit, so that a connection that
// was disabled a moment ago takes no more orders.
func (in *Intake) connections(ctx context.Context) func(orgID uuid.UUID, connectorType string) (domain.Connection, error) {
	type key struct {
		orgID         uuid.UUID
		connectorType string
	}
	type found struct {
		conn domain.Connection
		err  error
	}
	seen := map[key]found{}
	return func(orgID uuid.UUID, connectorType string) (domain.Connection, error) {
		k := key{orgID, connectorType}
		f, ok := seen[k]
		if !ok {
			f.conn, f.err = in.store.ActiveConnection(ctx, orgID, connectorType)
			if f.err != nil && fault.From(f.err).Kind == fault.NotFound {
				f.err = noActiveConnection(connectorType)
			}
			seen[k] = f
		}
		return f.conn, f.err
	}
}

func noActiveConnection(connectorType string) error {
	message := "the organization has no active connection"
	if connectorType != "" {
		message += " of type " + connectorType
	}
	return fault.New(fault.Invalid, "no_active_connection", "%s", message).
		WithHint("create or enable one: POST /api/v1/connections or `orderport connection create`")
}

// known answers for an order without a connection to deliver it over: if it
// was accepted before, its export is the answer to the repeated call.
func (in *Intake) known(ctx context.Context, order parsed, cause error) Outcome {
	if fault.From(cause).Kind != fault.Invalid {
		return Outcome{Err: cause}
	}
	before, err := in.store.DraftOrder(ctx, order.orgID, order.order.ID)
	if err != nil {
		if fault.From(err).Kind == fault.NotFound {
			err = cause
		}
		return Outcome{Err: err}
	}
	if before.SHA256 != order.order.SHA256 {
		return Outcome{Err: fault.New(fault.Conflict, "order_differs",
			"draft order %s was handed in before with other content", order.order.ID)}
	}
	filter := store.ExportFilter{DraftOrderID: order.order.ID}
	exports, _, err := in.store.ListExports(ctx, order.orgID, filter, store.Page{Limit: 1})
	if err != nil {
		return Outcome{Err: err}
	}
	if len(exports) == 0 {
		return Outcome{Err: cause}
	}
	return Outcome{Export: exports[0], Created: exports[0].ID == order.exportID}
}

// acceptance makes the export that will deliver an order.
func acceptance(order parsed, conn domain.Connection) store.Acceptance {
	return store.Acceptance{
		Draft: order.order,
		Export: domain.Export{
			ID: order.exportID, OrgID: order.orgID, ConnectionID: conn.ID, ConnectorType: conn.ConnectorType,
			DraftOrderID: order.order.ID, ExternalOrderNumber: order.order.ExternalOrderNumber,
			FormatVersion: domain.FormatVersion, Status: domain.Pending, IdempotencyKey: order.key,
			CreatedAt: order.order.CreatedAt, UpdatedAt: order.order.CreatedAt,
		},
	}
}
