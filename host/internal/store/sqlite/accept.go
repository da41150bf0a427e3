package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// Accept implements store.Exports.
func (s *Store) Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	if err := rules.CheckBatch(batch); err != nil {
		return nil, err
	}
	answers := make([]store.Accepted, len(batch))
	err := s.inTx(ctx, "accept orders", func(ctx context.Context, tx *sql.Tx) error {
		a := acceptor{tx: tx, now: s.now(), routes: map[uuid.UUID]*route{}}
		for i := range batch {
			var err error
			if answers[i], err = a.accept(ctx, &batch[i]); err != nil {
				return err
			}
		}
		if len(a.woken) == 0 {
			return nil
		}
		return s.wake(ctx, tx, a.woken)
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// route is where exports of a connection go.
type route struct {
	orgID         uuid.UUID
	slug          string
	connectorType string
	woken         bool
}

// acceptor accepts orders one by one within a transaction.
type acceptor struct {
	tx     *sql.Tx
	now    time.Time
	routes map[uuid.UUID]*route // by connection
	woken  []uuid.UUID          // connections that got new exports
}

const (
	insertDraft = `
		INSERT INTO draft_order (org_id, id, content, content_sha256, external_order_number, created_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	insertExport = `
		INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version,
			created_at, updated_at, next_attempt_at, idempotency_key)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

func (a *acceptor) accept(ctx context.Context, item *store.Acceptance) (store.Accepted, error) {
	known := rules.Known{}
	var err error
	if known.Key, err = a.keyOwner(ctx, item); err != nil {
		return store.Accepted{}, err
	}
	// A key that is taken by something else is answered before anything is written.
	if answer, ok := rules.Answer(*item, known); ok {
		return answer, nil
	}
	to, err := a.route(ctx, item.Export.ConnectionID)
	if err != nil {
		return store.Accepted{}, err
	}
	if to.orgID != item.Draft.OrgID {
		return store.Accepted{}, rules.ConnectionNotFound()
	}
	org, id := item.Draft.OrgID.String(), item.Draft.ID.String()
	n, err := changed(a.tx.ExecContext(ctx, insertDraft, org, id, item.Draft.Content, item.Draft.SHA256[:],
		textOrNull(item.Draft.ExternalOrderNumber), micros(item.Draft.CreatedAt)))
	if err != nil {
		return store.Accepted{}, fmt.Errorf("insert draft order: %w", err)
	}
	if n == 1 {
		return a.create(ctx, item, to, org, id)
	}
	known.WantedType = to.connectorType
	return a.answerKnown(ctx, item, known)
}

func (a *acceptor) create(ctx context.Context, item *store.Acceptance, to *route, org, draft string) (store.Accepted, error) {
	e := item.Export
	created := e.CreatedAt.UTC().Truncate(time.Microsecond)
	next := created
	if next.After(a.now) {
		next = a.now
	}
	_, err := a.tx.ExecContext(ctx, insertExport, e.ID.String(), org, e.ConnectionID.String(), draft, e.FormatVersion,
		micros(created), micros(a.now), micros(next), orNull(e.IdempotencyKey))
	if err != nil {
		return store.Accepted{}, fmt.Errorf("insert export: %w", err)
	}
	if !to.woken {
		to.woken = true
		a.woken = append(a.woken, e.ConnectionID)
	}
	return store.Accepted{Created: true, Export: domain.Export{
		ID: e.ID, OrgID: e.OrgID, OrgSlug: to.slug, ConnectionID: e.ConnectionID, ConnectorType: to.connectorType,
		DraftOrderID: item.Draft.ID, ExternalOrderNumber: item.Draft.ExternalOrderNumber,
		FormatVersion: e.FormatVersion, Status: domain.Pending, IdempotencyKey: e.IdempotencyKey,
		NextAttemptAt: &next, CreatedAt: created, UpdatedAt: a.now,
	}}, nil
}

func (a *acceptor) keyOwner(ctx context.Context, item *store.Acceptance) (*rules.KeyOwner, error) {
	if item.Export.IdempotencyKey == "" {
		return nil, nil
	}
	owners, err := all(ctx, a.tx, func(row scanner) (o rules.KeyOwner, err error) {
		return o, row.Scan(&o.DraftOrderID, hashInto(&o.SHA256))
	}, `SELECT e.draft_order_id, d.content_sha256
		FROM erp_export e JOIN draft_order d ON d.org_id = e.org_id AND d.id = e.draft_order_id
		WHERE e.org_id = ? AND e.idempotency_key = ?`, item.Draft.OrgID.String(), item.Export.IdempotencyKey)
	if err != nil {
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	}
	if len(owners) == 0 {
		return nil, nil
	}
	return &owners[0], nil
}

// selectLatest finds the live export of an order, else its newest one.
const selectLatest = `
SELECT ` + exportColumns + `, d.content_sha256 FROM (
	SELECT * FROM erp_export WHERE org_id = ?1 AND draft_order_id = ?2 AND live
	UNION ALL
	SELECT * FROM erp_export WHERE org_id = ?1 AND draft_order_id = ?2 AND NOT live
) e` + exportParents + `
ORDER BY e.live DESC, e.created_at DESC, e.id DESC LIMIT 1`

func (a *acceptor) answerKnown(ctx context.Context, item *store.Acceptance, known rules.Known) (store.Accepted, error) {
	var hash [32]byte
	latest, err := all(ctx, a.tx, func(row scanner) (domain.Export, error) { return scanExportAnd(row, hashInto(&hash)) },
		selectLatest, item.Draft.OrgID.String(), item.Draft.ID.String())
	if err != nil {
		return store.Accepted{}, fmt.Errorf("look up known order: %w", err)
	}
	if len(latest) == 1 {
		known.Latest, known.SHA256 = &latest[0], &hash
	}
	answer, ok := rules.Answer(*item, known)
	if !ok {
		return store.Accepted{}, rules.ErrUnanswered
	}
	return answer, nil
}

func (a *acceptor) route(ctx context.Context, connectionID uuid.UUID) (*route, error) {
	if r, ok := a.routes[connectionID]; ok {
		return r, nil
	}
	r, err := one(ctx, a.tx, rules.ConnectionNotFound(), func(row scanner) (*route, error) {
		r := &route{}
		return r, row.Scan(&r.orgID, &r.slug, &r.connectorType)
	}, `SELECT c.org_id, o.slug, c.connector_type FROM erp_connection c JOIN organization o ON o.id = c.org_id WHERE c.id = ?`,
		connectionID.String())
	if err != nil {
		return nil, err
	}
	a.routes[connectionID] = r
	return r, nil
}
