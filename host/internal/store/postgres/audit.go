package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// AppendAudit implements store.Audit.
func (s *Store) AppendAudit(ctx context.Context, entry domain.AuditEntry) error {
	return s.inTx(ctx, "append audit entry", func(tx pgx.Tx) error { return appendAudit(ctx, tx, entry) })
}

// appendAudit writes entries as part of tx. An entry that is there already is
// from an earlier, equal call whose answer was lost.
func appendAudit(ctx context.Context, tx pgx.Tx, entries ...domain.AuditEntry) error {
	var batch pgx.Batch
	for i := range entries {
		e := rules.Dated(entries[i])
		batch.Queue(`INSERT INTO audit_log (id, org_id, at, actor, action, subject, details)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
			e.ID, idOrNull(e.OrgID), e.At, e.Actor, e.Action, e.Subject, []byte(e.Details))
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// ListAudit implements store.Audit.
func (s *Store) ListAudit(ctx context.Context, orgID uuid.UUID, page store.Page) ([]domain.AuditEntry, string, error) {
	position, err := rules.ParseCursor(page.Cursor)
	if err != nil {
		return nil, "", err
	}
	query := `SELECT id, org_id, at, actor, action, subject, details FROM audit_log WHERE org_id = $1`
	args := []any{orgID, page.Limit + 1}
	if position != nil {
		query += ` AND (at, id) < ($3, $4)`
		args = append(args, position.At, position.ID)
	}
	rows, err := s.pool.Query(ctx, query+` ORDER BY at DESC, id DESC LIMIT $2`, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list audit log: %w", err)
	}
	entries, err := pgx.CollectRows(rows, scanAudit)
	if err != nil {
		return nil, "", fmt.Errorf("list audit log: %w", err)
	}
	next := ""
	if len(entries) > page.Limit {
		entries = entries[:page.Limit]
		last := entries[page.Limit-1]
		next = rules.Position{At: last.At, ID: last.ID}.Cursor()
	}
	return entries, next, nil
}

func scanAudit(row pgx.CollectableRow) (domain.AuditEntry, error) {
	var e domain.AuditEntry
	err := row.Scan(&e.ID, &e.OrgID, &e.At, &e.Actor, &e.Action, &e.Subject, (*[]byte)(&e.Details))
	inUTC(&e.At)
	return e, err
}
