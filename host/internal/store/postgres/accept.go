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

// insertBatch inserts draft orders that are new, in the order of their ids so
// that two hosts that accept the same orders wait for each other instead of
// both waiting, and the exports of those that it inserted. A draft order
// without an export in the answer is one whose idempotency key is taken.
const insertBatch = `
WITH input AS (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[], $5::text[], $6::timestamptz[],
		$7::uuid[], $8::uuid[], $9::text[], $10::timestamptz[], $11::text[])
	AS i(org_id, draft_id, content, sha256, external_order_number, draft_created_at,
		id, connection_id, format, created_at, key)
), drafts AS (
	INSERT INTO draft_order (org_id, id, content, content_sha256, external_order_number, created_at)
	SELECT org_id, draft_id, content, sha256, external_order_number, draft_created_at FROM input ORDER BY org_id, draft_id
	ON CONFLICT DO NOTHING
	RETURNING org_id, id, external_order_number
), exports AS (
	INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version,
		created_at, updated_at, next_attempt_at, idempotency_key)
	SELECT i.id, i.org_id, i.connection_id, i.draft_id, i.format,
		i.created_at, now(), LEAST(i.created_at, now()), i.key
	FROM input i JOIN drafts d ON d.org_id = i.org_id AND d.id = i.draft_id
	ON CONFLICT (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
	RETURNING id, org_id, draft_order_id, erp_connection_id, created_at, updated_at, next_attempt_at
)
SELECT d.org_id, d.id, e.id, o.slug, c.connector_type, e.created_at, e.updated_at, e.next_attempt_at
FROM drafts d
LEFT JOIN exports e ON e.org_id = d.org_id AND e.draft_order_id = d.id
LEFT JOIN organization o ON o.id = e.org_id
LEFT JOIN erp_connection c ON c.id = e.erp_connection_id`

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
// those that were there already.
func insertRound(ctx context.Context, tx pgx.Tx, batch []store.Acceptance, indexes []int, answers []store.Accepted) ([]int, error) {
	rows, err := tx.Query(ctx, insertBatch, insertArguments(batch, indexes)...)
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	type order struct{ org, id uuid.UUID }
	waiting := make(map[order]int, len(indexes))
	for _, i := range indexes {
		waiting[order{batch[i].Draft.OrgID, batch[i].Draft.ID}] = i
	}
	var orphans [2][]uuid.UUID
	var o order
	var exportID *uuid.UUID
	var slug, connectorType *string
	var created, updated, next *time.Time
	_, err = pgx.ForEachRow(rows, []any{&o.org, &o.id, &exportID, &slug, &connectorType, &created, &updated, &next}, func() error {
		if exportID == nil {
			orphans[0], orphans[1] = append(orphans[0], o.org), append(orphans[1], o.id)
			return nil
		}
		i := waiting[o]
		delete(waiting, o)
		answers[i] = store.Accepted{Created: true, Export: newExport(&batch[i], *slug, *connectorType, *created, *updated, *next)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	if len(orphans[0]) > 0 {
		_, err := tx.Exec(ctx, `DELETE FROM draft_order d USING unnest($1::uuid[], $2::uuid[]) AS x(org_id, id)
			WHERE d.org_id = x.org_id AND d.id = x.id`, orphans[0], orphans[1])
		if err != nil {
			return nil, fmt.Errorf("undo orders whose key is taken: %w", err)
		}
	}
	refused := make([]int, 0, len(waiting))
	for _, i := range waiting {
		refused = append(refused, i)
	}
	return refused, nil
}

// newExport is an export as it has just been inserted.
func newExport(a *store.Acceptance, slug, connectorType string, created, updated, next time.Time) domain.Export {
	next = next.UTC()
	return domain.Export{
		ID: a.Export.ID, OrgID: a.Export.OrgID, OrgSlug: slug,
		ConnectionID: a.Export.ConnectionID, ConnectorType: connectorType, DraftOrderID: a.Draft.ID,
		ExternalOrderNumber: a.Draft.ExternalOrderNumber, FormatVersion: a.Export.FormatVersion,
		Status: domain.Pending, IdempotencyKey: a.Export.IdempotencyKey,
		NextAttemptAt: &next, CreatedAt: created.UTC(), UpdatedAt: updated.UTC(),
	}
}

func insertArguments(batch []store.Acceptance, indexes []int) []any {
	n := len(indexes)
	orgs, drafts := make([][16]byte, n), make([][16]byte, n)
	ids, connections := make([][16]byte, n), make([][16]byte, n)
	contents, hashes := make([][]byte, n), make([][]byte, n)
	numbers, keys, formats := make([]*string, n), make([]*string, n), make([]string, n)
	draftTimes, times := make([]time.Time, n), make([]time.Time, n)
	for at, i := range indexes {
		d, e := &batch[i].Draft, &batch[i].Export
		orgs[at], drafts[at], ids[at], connections[at] = d.OrgID, d.ID, e.ID, e.ConnectionID
		contents[at], hashes[at], numbers[at], draftTimes[at] = d.Content, d.SHA256[:], d.ExternalOrderNumber, d.CreatedAt
		formats[at], keys[at], times[at] = e.FormatVersion, orNull(e.IdempotencyKey), e.CreatedAt
	}
	return []any{orgs, drafts, contents, hashes, numbers, draftTimes, ids, connections, formats, times, keys}
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
