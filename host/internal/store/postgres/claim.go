package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// claim leases in one statement. The array makes the update go by primary
// key, whatever the planner believes about the backlog. A host that has been
// declared dead gets nothing. All are of one connection, so their parents but the
// draft order are looked up once.
const claim = `
WITH due AS (
	SELECT id, attempt_number, attempt_host_id, attempt_host_name, attempt_started_at, attempt_finished_at,
		attempt_outcome, attempt_error_json, attempt_recovered
	FROM erp_export
	WHERE erp_connection_id = $1 AND status = 'PENDING' AND %s AND next_attempt_at <= now() AND lease_host_id IS NULL
		AND (next_attempt_at, id) > ($6, $7)
		AND NOT EXISTS (SELECT FROM host_node WHERE id = $2 AND stopped_at IS NOT NULL)
		AND ($5::timestamptz IS NULL OR (SELECT status = 'ACTIVE' AND updated_at = $5 FROM erp_connection WHERE id = $1))
	ORDER BY next_attempt_at, id
	LIMIT $3
	FOR UPDATE SKIP LOCKED
), earlier AS (
	INSERT INTO export_attempt (export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered)
	SELECT * FROM due WHERE attempt_number IS NOT NULL
), leased AS (
	UPDATE erp_export SET
		attempt_count = attempt_count + 1, lease_host_id = $2, lease_expires_at = now() + $4::interval, updated_at = now(),
		attempt_number = attempt_count + 1, attempt_host_id = $2,
		attempt_host_name = COALESCE((SELECT name FROM host_node WHERE id = $2), ''),
		attempt_started_at = now(), attempt_finished_at = NULL,
		attempt_outcome = 'RUNNING', attempt_error_json = NULL, attempt_recovered = false
	WHERE id = ANY (ARRAY (SELECT id FROM due))
	RETURNING *
), noted AS (
	INSERT INTO export_claim (erp_connection_id, host_id, claimed_at, expires_at, export_ids)
	SELECT $1, $2, now(), now() + $4::interval, array_agg(id) FROM leased HAVING count(*) > 0
)
SELECT ` + exportColumns + `, d.content, e.next_attempt_at
FROM erp_connection c
JOIN organization o ON o.id = c.org_id
CROSS JOIN leased e
JOIN draft_order d ON d.org_id = e.org_id AND d.id = e.draft_order_id
WHERE c.id = $1
ORDER BY e.next_attempt_at, e.id`

var (
	claimRegular  = fmt.Sprintf(claim, "crash_count = 0")
	claimSuspects = fmt.Sprintf(claim, "crash_count > 0")
)

// Claim implements store.Ledger.
func (s *Store) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	if req.Limit <= 0 {
		return nil, nil
	}
	query := claimRegular
	if req.SuspectsOnly {
		query = claimSuspects
	}
	var asOf *time.Time
	if !req.AsOf.IsZero() {
		asOf = &req.AsOf
	}
	var claimed []store.Claimed
	err := s.alone(ctx, "claim exports", func(q querier) error {
		rows, err := q.Query(ctx, query, req.ConnectionID, req.HostID, req.Limit, req.Lease, asOf, req.After.Due, req.After.ID)
		if err != nil {
			return err
		}
		claimed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c store.Claimed, err error) {
			c.Export, err = scanExportAnd(row, &c.Order, &c.Place.Due)
			c.Place.ID, c.Place.Due = c.Export.ID, c.Place.Due.UTC()
			return c, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// dueConnections walks the index of due exports from connection to connection:
// its cost is the number of connections with a backlog, not the backlog. LIMIT
// keeps the planner from reading the backlog at once instead.
const dueConnections = `
WITH RECURSIVE backlog (id) AS (
	(SELECT erp_connection_id FROM erp_export WHERE status = 'PENDING' ORDER BY erp_connection_id LIMIT 1)
	UNION ALL
	SELECT (SELECT e.erp_connection_id FROM erp_export e
		WHERE e.status = 'PENDING' AND e.erp_connection_id > b.id ORDER BY e.erp_connection_id LIMIT 1)
	FROM backlog b WHERE b.id IS NOT NULL
), due AS MATERIALIZED (
	SELECT b.id FROM backlog b WHERE COALESCE(
		(SELECT true FROM erp_export e WHERE e.erp_connection_id = b.id AND e.status = 'PENDING'
			AND e.crash_count = 0 AND e.next_attempt_at <= now() AND e.lease_host_id IS NULL LIMIT 1),
		(SELECT true FROM erp_export e WHERE e.erp_connection_id = b.id AND e.status = 'PENDING'
			AND e.crash_count > 0 AND e.next_attempt_at <= now() AND e.lease_host_id IS NULL LIMIT 1),
		false)
)
SELECT ` + connectionColumns + `
FROM erp_connection c
WHERE c.id = ANY (ARRAY (SELECT id FROM due)) AND c.status = 'ACTIVE' AND c.connector_type = ANY ($1)`

// DueConnections implements store.Ledger.
func (s *Store) DueConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error) {
	return s.connections(ctx, "list due connections", dueConnections, connectorTypes)
}

// countInFlight counts those that wait for another attempt and those that run
// their first, and never reads the backlog.
const countInFlight = `SELECT
	(SELECT count(*) FROM erp_export WHERE erp_connection_id = $1 AND tried)
	+ (SELECT count(*) FROM (` + running + `) e WHERE e.status = 'PENDING' AND NOT e.tried)`

// running are the exports of a connection whose attempts are under way. It looks
// at what has been claimed since claims were last forgotten, whatever waits.
// OFFSET 0 keeps them from being found the long way, among all of a connection.
const running = `SELECT * FROM (
	SELECT * FROM erp_export WHERE id = ANY (ARRAY (
		SELECT unnest(export_ids) FROM export_claim WHERE erp_connection_id = $1
		UNION ALL ` + runningOfOld + `)) OFFSET 0
	) x WHERE x.erp_connection_id = $1 AND x.lease_host_id IS NOT NULL`

// runningOfOld are the exports whose attempts a host of before step 4 has begun.
const runningOfOld = `SELECT export_id FROM export_attempt WHERE outcome = 'RUNNING'`

// InFlight implements store.Ledger.
func (s *Store) InFlight(ctx context.Context, connectionID uuid.UUID) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, countInFlight, connectionID).Scan(&n); err != nil {
		return 0, fmt.Errorf("count exports in flight: %w", err)
	}
	return n, nil
}

// selectLost looks only at claims of which some may be lost.
const selectLost = `
WITH e AS MATERIALIZED (
	SELECT * FROM erp_export WHERE id = ANY (ARRAY (
		SELECT unnest(l.export_ids) FROM export_claim l LEFT JOIN host_node h ON h.id = l.host_id
		WHERE h.stopped_at IS NOT NULL OR l.expires_at < now() - interval '1 minute'
		UNION ALL ` + runningOfOld + `)) AND lease_host_id IS NOT NULL
)
SELECT ` + exportColumns + `
FROM e` + exportParents + `
LEFT JOIN host_node h ON h.id = e.lease_host_id
WHERE (h.stopped_at IS NOT NULL OR e.lease_expires_at < now() - interval '1 minute')
	AND c.connector_type = ANY ($1)
LIMIT $2`

// forgetClaims deletes claims nothing of which is under way any more.
const forgetClaims = `
DELETE FROM export_claim WHERE (erp_connection_id, id) IN (
	SELECT l.erp_connection_id, l.id FROM export_claim l
	WHERE NOT EXISTS (
		SELECT FROM unnest(l.export_ids) AS claimed(id) JOIN erp_export e ON e.id = claimed.id
		WHERE e.lease_host_id = l.host_id AND e.attempt_started_at = l.claimed_at)
	LIMIT 1000
	FOR UPDATE SKIP LOCKED)`

// Lost implements store.Ledger.
func (s *Store) Lost(ctx context.Context, deadAfter time.Duration, connectorTypes []string, limit int) ([]domain.Export, error) {
	// Two statements, so that the second sees a heartbeat that the first
	// waited for.
	var lost []domain.Export
	err := s.inTx(ctx, "find lost exports", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE host_node SET stopped_at = now()
			WHERE stopped_at IS NULL AND heartbeat_at < now() - $1::interval`, deadAfter)
		if err != nil {
			return fmt.Errorf("declare hosts dead: %w", err)
		}
		rows, err := tx.Query(ctx, selectLost, connectorTypes, limit)
		if err != nil {
			return err
		}
		lost, err = pgx.CollectRows(rows, scanExport)
		return err
	})
	if err != nil {
		return nil, err
	}
	// What stays now goes with the next call.
	if _, err := s.pool.Exec(ctx, forgetClaims); err != nil {
		s.log.WarnContext(ctx, "can't forget claims", "error", err)
	}
	return lost, nil
}
