package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/sdk/port"
)

// Retry implements store.Exports.
func (s *Store) Retry(ctx context.Context, orgID, failedID uuid.UUID, retry domain.Export, audit domain.AuditEntry) (domain.Export, error) {
	var made domain.Export
	err := s.inTx(ctx, "retry export", func(ctx context.Context, tx *sql.Tx) error {
		failed, err := exportByID(ctx, tx, orgID, failedID)
		if err != nil {
			return err
		}
		if made, err = exportByID(ctx, tx, orgID, retry.ID); err == nil {
			// The answer to an earlier, equal call was lost.
			if made.RetryOf != nil && *made.RetryOf == failedID {
				return nil
			}
			return rules.RowExists()
		}
		if !errors.Is(err, rules.ExportNotFound()) {
			return err
		}
		if err := mayRetry(ctx, tx, failed); err != nil {
			return err
		}
		if err := s.insertRetry(ctx, tx, failed, retry); err != nil {
			return err
		}
		if made, err = exportByID(ctx, tx, orgID, retry.ID); err != nil {
			return err
		}
		if err := appendAudit(ctx, tx, audit); err != nil {
			return err
		}
		return s.wake(ctx, tx, []uuid.UUID{retry.ConnectionID})
	})
	return made, err
}

func mayRetry(ctx context.Context, tx *sql.Tx, failed domain.Export) error {
	if failed.Status != domain.Failed {
		return rules.NotFailed(string(failed.Status))
	}
	org, order := failed.OrgID.String(), failed.DraftOrderID.String()
	if live, err := hasLive(ctx, tx, org, order); err != nil || live {
		if err != nil {
			return err
		}
		return rules.ExportLive()
	}
	// An earlier or later export of the order may be the doubtful one.
	doubtful, err := exists(ctx, tx, `SELECT 1 FROM erp_export
		WHERE org_id = ? AND draft_order_id = ? AND NOT live AND error_json ->> 'code' = ?`,
		org, order, string(port.OutcomeUnknown))
	if err != nil {
		return err
	}
	if doubtful {
		return rules.OutcomeUnknown()
	}
	return nil
}

func hasLive(ctx context.Context, tx *sql.Tx, org, order string) (bool, error) {
	return exists(ctx, tx, `SELECT 1 FROM erp_export
		WHERE org_id = ? AND draft_order_id = ? AND live`, org, order)
}

func (s *Store) insertRetry(ctx context.Context, tx *sql.Tx, failed, retry domain.Export) error {
	found, err := exists(ctx, tx, `SELECT 1 FROM erp_connection WHERE id = ? AND org_id = ?`,
		retry.ConnectionID.String(), failed.OrgID.String())
	if err != nil {
		return err
	}
	if !found {
		return rules.ConnectionNotFound()
	}
	now := s.now()
	created := retry.CreatedAt.UTC().Truncate(time.Microsecond)
	_, err = tx.ExecContext(ctx, `
		INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version,
			created_at, updated_at, next_attempt_at, retry_of)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, min(?6, ?7), ?8)`,
		retry.ID.String(), failed.OrgID.String(), retry.ConnectionID.String(), failed.DraftOrderID.String(),
		retry.FormatVersion, micros(created), micros(now), failed.ID.String())
	return err
}

// Resolve implements store.Exports.
func (s *Store) Resolve(ctx context.Context, orgID, id uuid.UUID, sent bool, audit domain.AuditEntry) (domain.Export, error) {
	var resolved domain.Export
	err := s.inTx(ctx, "resolve export", func(ctx context.Context, tx *sql.Tx) error {
		e, err := exportByID(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		if e.Status != domain.Failed || e.Error == nil || e.Error.Code != port.OutcomeUnknown {
			return rules.NotUnknown()
		}
		if err := s.resolve(ctx, tx, e, sent, audit.Actor); err != nil {
			return err
		}
		if resolved, err = exportByID(ctx, tx, orgID, id); err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
	return resolved, err
}

func (s *Store) resolve(ctx context.Context, tx *sql.Tx, e domain.Export, sent bool, actor string) error {
	now := micros(s.now())
	if !sent {
		reason, err := toJSON(rules.ResolvedAsFailed(e.Error, actor))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE erp_export SET error_json = ?2, updated_at = ?3 WHERE id = ?1`, e.ID.String(), reason, now)
		return err
	}
	live, err := hasLive(ctx, tx, e.OrgID.String(), e.DraftOrderID.String())
	if err != nil {
		return err
	}
	if live {
		return rules.ExportLive()
	}
	_, err = tx.ExecContext(ctx, `UPDATE erp_export SET status = 'SENT', live = 1, error_json = NULL, sent_at = ?2, updated_at = ?2 WHERE id = ?1`,
		e.ID.String(), now)
	return err
}
