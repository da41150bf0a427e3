package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// AppendAudit implements store.Audit.
func (s *Store) AppendAudit(ctx context.Context, entry domain.AuditEntry) error {
	return s.inTx(ctx, "append audit entry", func(ctx context.Context, tx *sql.Tx) error { return appendAudit(ctx, tx, entry) })
}

// appendAudit writes entries as part of tx. An entry that is there already is
// from an earlier, equal call whose answer was lost.
func appendAudit(ctx context.Context, tx *sql.Tx, entries ...domain.AuditEntry) error {
	for i := range entries {
		e := rules.Dated(entries[i])
		if e.OrgID != uuid.Nil {
			if err := needOrganization(ctx, tx, e.OrgID); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO audit_log (id, org_id, at, actor, action, subject, details)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			e.ID.String(), idOrNull(e.OrgID), micros(e.At), e.Actor, e.Action, e.Subject, orNull(string(e.Details)))
		if err != nil {
			return fmt.Errorf("write audit log: %w", err)
		}
	}
	return nil
}

// ListAudit implements store.Audit.
func (s *Store) ListAudit(ctx context.Context, orgID uuid.UUID, page store.Page) ([]domain.AuditEntry, string, error) {
	position, err := rules.ParseCursor(page.Cursor)
	if err != nil {
		return nil, "", err
	}
	query := `SELECT id, org_id, at, actor, action, subject, details FROM audit_log WHERE org_id = ?1`
	args := []any{orgID.String(), page.Limit + 1}
	if position != nil {
		query += ` AND (at, id) < (?3, ?4)`
		args = append(args, micros(position.At), position.ID.String())
	}
	entries, err := all(ctx, s.reader, scanAudit, query+` ORDER BY at DESC, id DESC LIMIT ?2`, args...)
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

func scanAudit(row scanner) (domain.AuditEntry, error) {
	var e domain.AuditEntry
	var details string
	err := row.Scan(&e.ID, &e.OrgID, moment(&e.At), &e.Actor, &e.Action, &e.Subject, text(&details))
	if details != "" {
		e.Details = []byte(details)
	}
	return e, err
}
