package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// ackTargets locks what acks may be about, in the order of ids, so that hosts
// that apply the same acks do so one after the other. References of attempts
// that are under way are not indexed, but those attempts are few. OFFSET 0 makes
// it one look-up in the index for each reference, with or without statistics.
const ackTargets = `
SELECT id, org_id, draft_order_id, COALESCE(external_ref, ''), COALESCE(running_ref, ''), status, COALESCE(erp_order_id, ''),
	COALESCE(error_json ->> 'code', ''), created_at
FROM erp_export
WHERE id = ANY (ARRAY (
	SELECT x.id FROM unnest($2::text[]) AS r(ref)
	CROSS JOIN LATERAL (SELECT id FROM erp_export WHERE erp_connection_id = $1 AND external_ref = r.ref OFFSET 0) x
	UNION ALL
	SELECT e.id FROM (` + running + `) e WHERE e.running_ref = ANY ($2)
))
ORDER BY id
FOR NO KEY UPDATE`

const applyChanges = `
UPDATE erp_export e SET
	status = a.status,
	erp_order_id = COALESCE(a.erp_order_id, e.erp_order_id),
	error_json = a.error,
	sent_at = CASE WHEN a.status = 'ACKED' THEN COALESCE(e.sent_at, now()) ELSE e.sent_at END,
	acked_at = CASE WHEN a.status = 'ACKED' THEN COALESCE(e.acked_at, now()) ELSE e.acked_at END,
	next_attempt_at = NULL,
	tried = false,
	updated_at = now()
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[]) AS a(id, status, erp_order_id, error)
WHERE e.id = a.id`

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
	err := s.inTx(ctx, "apply acks", func(tx pgx.Tx) error {
		targets, err := lockTargets(ctx, tx, connectionID, refs)
		if err != nil {
			return err
		}
		plan, err := rules.PlanAcks(acks, targets, actor, time.Now().UTC())
		if err != nil {
			return err
		}
		verdicts = plan.Verdicts
		if err := writeChanges(ctx, tx, plan.Changes); err != nil {
			return err
		}
		return appendAudit(ctx, tx, plan.Audits...)
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func lockTargets(ctx context.Context, tx pgx.Tx, connectionID uuid.UUID, refs []string) ([]rules.AckTarget, error) {
	rows, err := tx.Query(ctx, ackTargets, connectionID, refs)
	if err != nil {
		return nil, err
	}
	asked := make(map[string]bool, len(refs))
	for _, ref := range refs {
		asked[ref] = true
	}
	targets, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t rules.AckTarget, err error) {
		var running string
		err = row.Scan(&t.ID, &t.OrgID, &t.DraftOrderID, &t.ExternalRef, &running, (*string)(&t.Status), &t.ERPOrderID,
			(*string)(&t.ErrorCode), &t.CreatedAt)
		if !asked[t.ExternalRef] {
			t.ExternalRef = running
		}
		return t, err
	})
	if err != nil {
		return nil, err
	}
	return targets, markOtherLive(ctx, tx, targets)
}

// markOtherLive looks, for exports whose outcome is unknown, whether the order
// is on its way by another export.
func markOtherLive(ctx context.Context, tx pgx.Tx, targets []rules.AckTarget) error {
	for i := range targets {
		t := &targets[i]
		if !t.Doubtful() {
			continue
		}
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM erp_export
			WHERE org_id = $1 AND draft_order_id = $2 AND status IN ('PENDING', 'SENT', 'ACKED'))`,
			t.OrgID, t.DraftOrderID).Scan(&t.OtherLive)
		if err != nil {
			return err
		}
	}
	return nil
}

func writeChanges(ctx context.Context, tx pgx.Tx, changes []rules.AckChange) error {
	if len(changes) == 0 {
		return nil
	}
	n := len(changes)
	ids, statuses, numbers, errs := make([][16]byte, n), make([]string, n), make([]*string, n), make([][]byte, n)
	for i := range changes {
		c := &changes[i]
		ids[i], statuses[i], numbers[i] = c.ID, string(c.Status), orNull(c.ERPOrderID)
		var err error
		if errs[i], err = jsonOrNull(c.Error, c.Error == nil); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, applyChanges, ids, statuses, numbers, errs)
	return err
}
