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

// ackTargets finds what acks may be about. References of attempts that are
// under way are not indexed, but those attempts are few.
const ackTargets = `
SELECT e.id, e.org_id, e.draft_order_id, r.value, e.status, e.erp_order_id, e.error_json ->> 'code', e.created_at
FROM (SELECT DISTINCT value FROM json_each(?2)) r
CROSS JOIN erp_export e ON e.erp_connection_id = ?1 AND e.external_ref = r.value
UNION ALL
SELECT id, org_id, draft_order_id, running_ref, status, erp_order_id, error_json ->> 'code', created_at
FROM erp_export INDEXED BY idx_erp_export_leased
WHERE lease_host_id IS NOT NULL AND erp_connection_id = ?1 AND running_ref IN (SELECT value FROM json_each(?2))
	AND (external_ref IS NULL OR external_ref NOT IN (SELECT value FROM json_each(?2)))`

const (
	applyPositive = `UPDATE erp_export SET status = 'ACKED', live = 1, erp_order_id = COALESCE(?2, erp_order_id), error_json = NULL,
		sent_at = COALESCE(sent_at, ?3), acked_at = COALESCE(acked_at, ?3), next_attempt_at = NULL, tried = 0, updated_at = ?3 WHERE id = ?1`
	applyNegative = `UPDATE erp_export SET status = 'FAILED', live = 0, error_json = ?2, next_attempt_at = NULL, tried = 0, updated_at = ?3 WHERE id = ?1`
)

// ApplyAcks implements store.Ledger.
func (s *Store) ApplyAcks(ctx context.Context, connectionID uuid.UUID, acks []store.Ack, actor string) ([]store.AckVerdict, error) {
	if len(acks) == 0 {
		return nil, nil
	}
	refs := make([]string, len(acks))
	for i := range acks {
		refs[i] = acks[i].ExternalRef
	}
	var verdicts []store.AckVerdict
	err := s.inTx(ctx, "apply acks", func(ctx context.Context, tx *sql.Tx) error {
		targets, err := findTargets(ctx, tx, connectionID, refs)
		if err != nil {
			return err
		}
		now := s.now()
		plan, err := rules.PlanAcks(acks, targets, actor, now)
		if err != nil {
			return err
		}
		verdicts = plan.Verdicts
		for i := range plan.Changes {
			if err := applyChange(ctx, tx, &plan.Changes[i], micros(now)); err != nil {
				return err
			}
		}
		return appendAudit(ctx, tx, plan.Audits...)
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func findTargets(ctx context.Context, tx *sql.Tx, connectionID uuid.UUID, refs []string) ([]rules.AckTarget, error) {
	list, err := toJSON(refs)
	if err != nil {
		return nil, err
	}
	targets, err := all(ctx, tx, func(row scanner) (t rules.AckTarget, err error) {
		return t, row.Scan(&t.ID, &t.OrgID, &t.DraftOrderID, &t.ExternalRef, &t.Status, text(&t.ERPOrderID),
			text((*string)(&t.ErrorCode)), moment(&t.CreatedAt))
	}, ackTargets, connectionID.String(), list)
	if err != nil {
		return nil, fmt.Errorf("find exports: %w", err)
	}
	for i := range targets {
		t := &targets[i]
		if !t.Doubtful() {
			continue
		}
		if t.OtherLive, err = hasLive(ctx, tx, t.OrgID.String(), t.DraftOrderID.String()); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

func applyChange(ctx context.Context, tx *sql.Tx, c *rules.AckChange, now int64) error {
	if c.Status == domain.Acked {
		_, err := tx.ExecContext(ctx, applyPositive, c.ID.String(), orNull(c.ERPOrderID), now)
		return err
	}
	reason, err := toJSON(c.Error)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, applyNegative, c.ID.String(), reason, now)
	return err
}
