package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/sdk/port"
)

// Retry implements store.Exports.
func (s *Store) Retry(ctx context.Context, orgID, failedID uuid.UUID, retry domain.Export, audit domain.AuditEntry) (domain.Export, error) {
	var made domain.Export
	err := s.inTx(ctx, "retry export", func(tx pgx.Tx) error {
		failed, err := lockExport(ctx, tx, orgID, failedID)
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
		if _, err := hold(ctx, tx, map[owned]bool{{retry.ConnectionID, orgID}: true}); err != nil {
			return err
		}
		if err := insertRetry(ctx, tx, failed, retry); err != nil {
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

// lockExport holds the export against concurrent changes until the
// transaction ends.
func lockExport(ctx context.Context, tx pgx.Tx, orgID, id uuid.UUID) (domain.Export, error) {
	return one(ctx, tx, rules.ExportNotFound(), scanExport, `
		SELECT `+exportColumns+` FROM erp_export e`+exportParents+`
		WHERE e.org_id = $1 AND e.id = $2 FOR NO KEY UPDATE OF e`, orgID, id)
}

func mayRetry(ctx context.Context, tx pgx.Tx, failed domain.Export) error {
	if failed.Status != domain.Failed {
		return rules.NotFailed(string(failed.Status))
	}
	// An earlier or later export of the order may be the doubtful one.
	var live, doubtful bool
	err := tx.QueryRow(ctx, `SELECT
		EXISTS (SELECT FROM erp_export WHERE org_id = $1 AND draft_order_id = $2 AND status IN ('PENDING', 'SENT', 'ACKED')),
		EXISTS (SELECT FROM erp_export WHERE org_id = $1 AND draft_order_id = $2 AND status = 'FAILED' AND error_json ->> 'code' = $3)`,
		failed.OrgID, failed.DraftOrderID, string(port.OutcomeUnknown)).Scan(&live, &doubtful)
	switch {
	case err != nil:
		return err
	case live:
		return rules.ExportLive()
	case doubtful:
		return rules.OutcomeUnknown()
	default:
		return nil
	}
}

func insertRetry(ctx context.Context, tx pgx.Tx, failed, retry domain.Export) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version,
			created_at, updated_at, next_attempt_at, retry_of)
		VALUES ($1, $2, $3, $4, $5, $6, now(), LEAST($6, now()), $7)`,
		retry.ID, failed.OrgID, retry.ConnectionID, failed.DraftOrderID, retry.FormatVersion, retry.CreatedAt, failed.ID)
	return err
}

// Resolve implements store.Exports.
func (s *Store) Resolve(ctx context.Context, orgID, id uuid.UUID, sent bool, audit domain.AuditEntry) (domain.Export, error) {
	var resolved domain.Export
	err := s.inTx(ctx, "resolve export", func(tx pgx.Tx) error {
		e, err := lockExport(ctx, tx, orgID, id)
		if err != nil {
			return err
		}
		if e.Status != domain.Failed || e.Error == nil || e.Error.Code != port.OutcomeUnknown {
			return rules.NotUnknown()
		}
		if sent {
			_, err = tx.Exec(ctx, `UPDATE erp_export SET status = 'SENT', error_json = NULL, sent_at = now(), updated_at = now()
				WHERE id = $1`, id)
		} else {
			_, err = tx.Exec(ctx, `UPDATE erp_export SET error_json = $2, updated_at = now() WHERE id = $1`,
				id, rules.ResolvedAsFailed(e.Error, audit.Actor))
		}
		if err != nil {
			return err
		}
		if resolved, err = exportByID(ctx, tx, orgID, id); err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
	return resolved, err
}
