package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// insertDrafts inserts draft orders that are new, in the order of their ids so
// that two hosts that accept the same orders wait for each other instead of
// both waiting.
const insertDrafts = `
INSERT INTO draft_order (org_id, id, content, content_sha256, external_order_number, created_at)
SELECT unnest($1::uuid[]) AS org_id, unnest($2::uuid[]) AS id, unnest($3::bytea[]), unnest($4::bytea[]), unnest($5::text[]),
	unnest($6::timestamptz[])
ORDER BY org_id, id
ON CONFLICT DO NOTHING
RETURNING org_id, id`

// insertExports inserts the exports of new draft orders.
const insertExports = `
INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version,
	created_at, updated_at, next_attempt_at, idempotency_key)
SELECT i.id, i.org_id, i.connection_id, i.draft_id, i.format, i.created_at, now(), LEAST(i.created_at, now()), i.key
FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS org_id, unnest($3::uuid[]) AS connection_id, unnest($4::uuid[]) AS draft_id,
	unnest($5::text[]) AS format, unnest($6::timestamptz[]) AS created_at, unnest($7::text[]) AS key) i%s
RETURNING id, updated_at, next_attempt_at`

// Where no order brings an idempotency key nothing can be in the way, and
// PostgreSQL need not be prepared for it with each row.
var (
	insertWithKeys = fmt.Sprintf(insertExports, `
ON CONFLICT (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`)
	insertWithoutKeys = fmt.Sprintf(insertExports, "")
)

// Accept implements store.Exports.
func (s *Store) Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	if err := rules.CheckBatch(batch); err != nil {
		return nil, err
	}
	var answers []store.Accepted
	err := s.inTx(ctx, "accept orders", func(tx pgx.Tx) (err error) {
		answers, err = acceptAll(ctx, tx, batch)
		if err != nil {
			return err
		}
		return s.wakeFor(ctx, tx, answers)
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func (s *Store) wakeFor(ctx context.Context, tx pgx.Tx, answers []store.Accepted) error {
	var ids []uuid.UUID
	seen := map[uuid.UUID]bool{}
	for i := range answers {
		if id := answers[i].Export.ConnectionID; answers[i].Created && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return s.wake(ctx, tx, ids)
}

func acceptAll(ctx context.Context, tx pgx.Tx, batch []store.Acceptance) ([]store.Accepted, error) {
	answers := make([]store.Accepted, len(batch))
	unanswered := make([]int, len(batch))
	for i := range unanswered {
		unanswered[i] = i
	}
	for len(unanswered) > 0 {
		round := rules.NextRound(batch, unanswered)
		refused, err := insertRound(ctx, tx, batch, round.Insert, answers)
		if err != nil {
			return nil, err
		}
		open := append(refused, round.Rest...)
		if len(open) == 0 {
			return answers, nil
		}
		if open, err = answerKnown(ctx, tx, batch, open, answers); err != nil {
			return nil, err
		}
		if len(open) == len(unanswered) {
			return nil, rules.ErrUnanswered
		}
		unanswered = open
	}
	return answers, nil
}

// insertRound inserts batch[i] for i in indexes. It returns the indexes of
// those whose order or idempotency key was there already.
func insertRound(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int, answers []store.Accepted) ([]int, error) {
	fresh, refused, err := insertNewDrafts(ctx, tx, batch, indexes)
	if err != nil || len(fresh) == 0 {
		return refused, err
	}
	held, err := holdConnections(ctx, tx, batch, fresh)
	if err != nil {
		return nil, err
	}
	waiting := make(map[uuid.UUID]int, len(fresh))
	query := insertWithoutKeys
	for _, i := range fresh {
		waiting[batch[i].Export.ID] = i
		if batch[i].Export.IdempotencyKey != "" {
			query = insertWithKeys
		}
	}
	rows, err := tx.Query(ctx, query, exportArguments(batch, fresh)...)
	if err != nil {
		return nil, fmt.Errorf("insert exports: %w", err)
	}
	var id uuid.UUID
	var updated, next time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &updated, &next}, func() error {
		i := waiting[id]
		delete(waiting, id)
		a := &batch[i]
		answers[i] = store.Accepted{Created: true, Export: newExport(a, held[a.Export.ConnectionID], updated, next)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("insert exports: %w", err)
	}
	orphans := make([]int, 0, len(waiting))
	for _, i := range waiting {
		orphans = append(orphans, i)
	}
	return append(refused, orphans...), deleteDrafts(ctx, tx, batch, orphans)
}

// owned is a connection and whose it is.
type owned struct{ conn, org uuid.UUID }

// parents is what the export of a connection shows of what it belongs to.
type parents struct{ slug, connectorType string }

// holdConnections keeps the connections of batch[i] for i in indexes from being
// deleted until the transaction ends, each once for all of its exports:
// erp_export has no foreign key that would do so row by row.
func holdConnections(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int) (map[uuid.UUID]parents, error) {
	wanted := make(map[owned]bool)
	for _, i := range indexes {
		wanted[owned{batch[i].Export.ConnectionID, batch[i].Export.OrgID}] = true
	}
	return hold(ctx, tx, wanted)
}

// hold is ConnectionNotFound unless all wanted connections are there.
func hold(ctx context.Context, tx pgx.Tx, wanted map[owned]bool) (map[uuid.UUID]parents, error) {
	ids := make([]uuid.UUID, 0, len(wanted))
	for o := range wanted {
		ids = append(ids, o.conn)
	}
	rows, err := tx.Query(ctx, `SELECT c.id, c.org_id, o.slug, c.connector_type
		FROM erp_connection c JOIN organization o ON o.id = c.org_id WHERE c.id = ANY ($1) FOR KEY SHARE OF c`, ids)
	if err != nil {
		return nil, fmt.Errorf("hold connections: %w", err)
	}
	held := make(map[uuid.UUID]parents, len(wanted))
	var found owned
	var p parents
	_, err = pgx.ForEachRow(rows, []any{&found.conn, &found.org, &p.slug, &p.connectorType}, func() error {
		held[found.conn] = p
		delete(wanted, found)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hold connections: %w", err)
	}
	if len(wanted) > 0 {
		return nil, rules.ConnectionNotFound()
	}
	return held, nil
}

// insertNewDrafts splits indexes into those whose draft order it inserted and
// those whose draft order was there.
func insertNewDrafts(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int) (fresh, known []int, err error) {
	rows, err := tx.Query(ctx, insertDrafts, draftArguments(batch, indexes)...)
	if err != nil {
		return nil, nil, fmt.Errorf("insert draft orders: %w", err)
	}
	type order struct{ org, id uuid.UUID }
	inserted := make(map[order]bool, len(indexes))
	var o order
	_, err = pgx.ForEachRow(rows, []any{&o.org, &o.id}, func() error {
		inserted[o] = true
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("insert draft orders: %w", err)
	}
	for _, i := range indexes {
		if inserted[order{batch[i].Draft.OrgID, batch[i].Draft.ID}] {
			fresh = append(fresh, i)
		} else {
			known = append(known, i)
		}
	}
	return fresh, known, nil
}

// deleteDrafts takes draft orders back that have got no export.
func deleteDrafts(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int) error {
	if len(indexes) == 0 {
		return nil
	}
	var orgs, ids [][16]byte
	for _, i := range indexes {
		orgs, ids = append(orgs, batch[i].Draft.OrgID), append(ids, batch[i].Draft.ID)
	}
	_, err := tx.Exec(ctx, `DELETE FROM draft_order d USING unnest($1::uuid[], $2::uuid[]) AS x(org_id, id)
		WHERE d.id = x.id AND d.org_id = x.org_id`, orgs, ids)
	if err != nil {
		return fmt.Errorf("take orders back whose key is in use: %w", err)
	}
	return nil
}

// newExport is an export as it has just been inserted.
func newExport(a *store.Acceptance, of parents, updated, next time.Time) domain.Export {
	next = next.UTC()
	return domain.Export{
		ID: a.Export.ID, OrgID: a.Export.OrgID, OrgSlug: of.slug,
		ConnectionID: a.Export.ConnectionID, ConnectorType: of.connectorType, DraftOrderID: a.Draft.ID,
		ExternalOrderNumber: a.Draft.ExternalOrderNumber, FormatVersion: a.Export.FormatVersion,
		Status: domain.Pending, IdempotencyKey: a.Export.IdempotencyKey,
		NextAttemptAt: &next, CreatedAt: a.Export.CreatedAt.UTC().Truncate(time.Microsecond), UpdatedAt: updated.UTC(),
	}
}

func draftArguments(batch []store.Acceptance, indexes []int) []any {
	n := len(indexes)
	orgs, ids, contents, hashes := make([][16]byte, n), make([][16]byte, n), make([][]byte, n), make([][]byte, n)
	numbers, times := make([]*string, n), make([]time.Time, n)
	for at, i := range indexes {
		d := &batch[i].Draft
		orgs[at], ids[at], contents[at], hashes[at] = d.OrgID, d.ID, d.Content, d.SHA256[:]
		numbers[at], times[at] = d.ExternalOrderNumber, d.CreatedAt
	}
	return []any{orgs, ids, contents, hashes, said(numbers), times}
}

func exportArguments(batch []store.Acceptance, indexes []int) []any {
	n := len(indexes)
	ids, orgs, connections, drafts := make([][16]byte, n), make([][16]byte, n), make([][16]byte, n), make([][16]byte, n)
	formats, times, keys := make([]string, n), make([]time.Time, n), make([]*string, n)
	for at, i := range indexes {
		e := &batch[i].Export
		ids[at], orgs[at], connections[at], drafts[at] = e.ID, e.OrgID, e.ConnectionID, e.DraftOrderID
		formats[at], times[at], keys[at] = e.FormatVersion, e.CreatedAt, orNull(e.IdempotencyKey)
	}
	return []any{ids, orgs, connections, drafts, formats, times, said(keys)}
}

// latestOf finds, for each order asked for, what Answer must know.
const latestOf = `
SELECT ` + exportColumns + `, i.at, d.content_sha256, w.connector_type
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS i(org_id, draft_id, connection_id, at)
JOIN draft_order d ON d.org_id = i.org_id AND d.id = i.draft_id
CROSS JOIN LATERAL (
	SELECT * FROM (
		SELECT * FROM erp_export x WHERE x.org_id = i.org_id AND x.draft_order_id = i.draft_id AND x.status IN ('PENDING', 'SENT', 'ACKED')
		UNION ALL
		SELECT * FROM erp_export x WHERE x.org_id = i.org_id AND x.draft_order_id = i.draft_id AND x.status = 'FAILED'
	) both_kinds
	ORDER BY status = 'FAILED', created_at DESC, id DESC LIMIT 1
) e
JOIN organization o ON o.id = e.org_id
JOIN erp_connection c ON c.id = e.erp_connection_id
LEFT JOIN erp_connection w ON w.id = i.connection_id`

const ownersOf = `
SELECT i.at, e.draft_order_id, d.content_sha256
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS i(org_id, key, at)
JOIN erp_export e ON e.org_id = i.org_id AND e.idempotency_key = i.key
JOIN draft_order d ON d.org_id = e.org_id AND d.id = e.draft_order_id`

// answerKnown answers from what is in the database. It returns the indexes of
// those that are not there.
func answerKnown(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int, answers []store.Accepted) ([]int, error) {
	known := make([]rules.Known, len(indexes))
	if err := findLatest(ctx, tx, batch, indexes, known); err != nil {
		return nil, fmt.Errorf("look up known orders: %w", err)
	}
	if err := findOwners(ctx, tx, batch, indexes, known); err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	var open []int
	for at, i := range indexes {
		answer, ok := rules.Answer(batch[i], known[at])
		if !ok {
			open = append(open, i)
			continue
		}
		answers[i] = answer
	}
	return open, nil
}

func findLatest(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int, known []rules.Known) error {
	orgs, drafts := make([]uuid.UUID, len(indexes)), make([]uuid.UUID, len(indexes))
	connections := make([]uuid.UUID, len(indexes))
	for at, i := range indexes {
		orgs[at], drafts[at], connections[at] = batch[i].Draft.OrgID, batch[i].Draft.ID, batch[i].Export.ConnectionID
	}
	rows, err := tx.Query(ctx, latestOf, orgs, drafts, connections)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int
		var hash []byte
		var wanted *string
		e, err := scanExportAnd(rows, &at, &hash, &wanted)
		if err != nil {
			return err
		}
		k := &known[at-1]
		k.Latest, k.SHA256 = &e, (*[32]byte)(hash)
		if wanted != nil {
			k.WantedType = *wanted
		}
	}
	return rows.Err()
}

func findOwners(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int, known []rules.Known) error {
	var orgs []uuid.UUID
	var keys []string
	var of []int
	for at, i := range indexes {
		if key := batch[i].Export.IdempotencyKey; key != "" {
			orgs, keys, of = append(orgs, batch[i].Draft.OrgID), append(keys, key), append(of, at)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, ownersOf, orgs, keys)
	if err != nil {
		return err
	}
	var at int
	var owner uuid.UUID
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&at, &owner, &hash}, func() error {
		known[of[at-1]].Key = &rules.KeyOwner{DraftOrderID: owner, SHA256: [32]byte(hash)}
		return nil
	})
	return err
}
