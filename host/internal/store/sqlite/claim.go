package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

const selectDue = `
SELECT ` + exportColumns + `, d.content, e.next_attempt_at
FROM erp_export e` + exportParents + `
WHERE e.erp_connection_id = ?1 AND e.status = 'PENDING' AND %s AND e.next_attempt_at <= ?2 AND e.lease_host_id IS NULL
	AND (e.next_attempt_at, e.id) > (?6, ?7)
	AND NOT EXISTS (SELECT 1 FROM host_node WHERE id = ?3 AND stopped_at IS NOT NULL)
	AND (?5 IS NULL OR EXISTS (SELECT 1 FROM erp_connection WHERE id = ?1 AND status = 'ACTIVE' AND updated_at = ?5))
ORDER BY e.next_attempt_at, e.id
LIMIT ?4`

var (
	selectDueRegular  = fmt.Sprintf(selectDue, "e.crash_count = 0")
	selectDueSuspects = fmt.Sprintf(selectDue, "e.crash_count > 0")
)

// Claim implements store.Ledger.
func (s *Store) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	if req.Limit <= 0 {
		return nil, nil
	}
	var claimed []store.Claimed
	err := s.inTx(ctx, "claim exports", func(ctx context.Context, tx *sql.Tx) (err error) {
		now := s.now()
		if claimed, err = dueExports(ctx, tx, req, now); err != nil || len(claimed) == 0 {
			return err
		}
		return lease(ctx, tx, req, claimed, now)
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

func dueExports(ctx context.Context, tx *sql.Tx, req store.ClaimRequest, now time.Time) ([]store.Claimed, error) {
	query := selectDueRegular
	if req.SuspectsOnly {
		query = selectDueSuspects
	}
	var asOf *time.Time
	if !req.AsOf.IsZero() {
		asOf = &req.AsOf
	}
	return all(ctx, tx, func(row scanner) (c store.Claimed, err error) {
		c.Export, err = scanExportAnd(row, &c.Order, moment(&c.Place.Due))
		c.Place.ID = c.Export.ID
		return c, err
	}, query, req.ConnectionID.String(), micros(now), req.HostID.String(), req.Limit, microsOrNull(asOf),
		micros(req.After.Due), req.After.ID.String())
}

// newAttempt makes room in the export's row for its next attempt.
const newAttempt = `INSERT INTO export_attempt
	(export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered)
	SELECT id, attempt_count, attempt_host_id, attempt_host_name, attempt_started_at, attempt_finished_at,
		attempt_outcome, attempt_error_json, attempt_recovered
	FROM erp_export WHERE id IN (SELECT value FROM json_each(?1)) AND attempt_outcome IS NOT NULL`

const leaseExports = `UPDATE erp_export SET
		attempt_count = attempt_count + 1,
		attempt_host_id = ?2, attempt_host_name = COALESCE((SELECT name FROM host_node WHERE id = ?2), ''),
		attempt_started_at = ?4, attempt_finished_at = NULL, attempt_outcome = 'RUNNING', attempt_error_json = NULL, attempt_recovered = 0,
		lease_host_id = ?2, lease_expires_at = ?3, updated_at = ?4
	WHERE id IN (SELECT value FROM json_each(?1))`

// lease records the attempts, in the database and in claimed.
func lease(ctx context.Context, tx *sql.Tx, req store.ClaimRequest, claimed []store.Claimed, now time.Time) error {
	expires := now.Add(req.Lease).Truncate(time.Microsecond)
	var ids, again []uuid.UUID
	for i := range claimed {
		e := &claimed[i].Export
		ids = append(ids, e.ID)
		if e.AttemptCount > 0 {
			again = append(again, e.ID)
		}
		e.AttemptCount++
		e.Lease = &domain.Lease{HostID: req.HostID, ExpiresAt: expires}
		e.NextAttemptAt = nil
		e.UpdatedAt = now
	}
	if len(again) > 0 {
		list, err := toJSON(again)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, newAttempt, list); err != nil {
			return fmt.Errorf("put earlier attempts aside: %w", err)
		}
	}
	list, err := toJSON(ids)
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, leaseExports, list, req.HostID.String(), micros(expires), micros(now)); err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	return nil
}

// dueConnections walks the index of due exports from connection to connection:
// its cost is the number of connections with a backlog, not the backlog.
const dueConnections = `
WITH RECURSIVE backlog (id) AS (
	SELECT min(erp_connection_id) FROM erp_export WHERE status = 'PENDING'
	UNION ALL
	SELECT (SELECT min(e.erp_connection_id) FROM erp_export e WHERE e.status = 'PENDING' AND e.erp_connection_id > b.id)
	FROM backlog b WHERE b.id IS NOT NULL
)
SELECT ` + connectionColumns + `
FROM backlog b CROSS JOIN erp_connection c ON c.id = b.id
WHERE c.status = 'ACTIVE' AND c.connector_type IN (SELECT value FROM json_each(?1)) AND (
	EXISTS (SELECT 1 FROM erp_export e WHERE e.erp_connection_id = b.id AND e.status = 'PENDING'
		AND e.crash_count = 0 AND e.next_attempt_at <= ?2 AND e.lease_host_id IS NULL)
	OR EXISTS (SELECT 1 FROM erp_export e WHERE e.erp_connection_id = b.id AND e.status = 'PENDING'
		AND e.crash_count > 0 AND e.next_attempt_at <= ?2 AND e.lease_host_id IS NULL))`

// DueConnections implements store.Ledger.
func (s *Store) DueConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error) {
	types, err := toJSON(connectorTypes)
	if err != nil {
		return nil, err
	}
	list, err := all(ctx, s.reader, scanConnection, dueConnections, types, micros(s.now()))
	if err != nil {
		return nil, fmt.Errorf("list due connections: %w", err)
	}
	return list, nil
}

// countInFlight counts those that wait for another attempt and those that run
// their first, and never reads the backlog.
const countInFlight = `SELECT
	(SELECT count(*) FROM erp_export INDEXED BY idx_erp_export_tried WHERE erp_connection_id = ?1 AND tried)
	+ (SELECT count(*) FROM erp_export INDEXED BY idx_erp_export_leased
		WHERE lease_host_id IS NOT NULL AND erp_connection_id = ?1 AND status = 'PENDING' AND NOT tried)`

// InFlight implements store.Ledger.
func (s *Store) InFlight(ctx context.Context, connectionID uuid.UUID) (int, error) {
	var n int
	if err := s.reader.QueryRowContext(ctx, countInFlight, connectionID.String()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count exports in flight: %w", err)
	}
	return n, nil
}

const selectLost = `
SELECT ` + exportColumns + `
FROM erp_export e INDEXED BY idx_erp_export_leased` + exportParents + `
LEFT JOIN host_node h ON h.id = e.lease_host_id
WHERE e.lease_host_id IS NOT NULL AND (h.stopped_at IS NOT NULL OR e.lease_expires_at < ?1)
	AND c.connector_type IN (SELECT value FROM json_each(?2))
LIMIT ?3`

// Lost implements store.Ledger.
func (s *Store) Lost(ctx context.Context, deadAfter time.Duration, connectorTypes []string, limit int) ([]domain.Export, error) {
	types, err := typesJSON(connectorTypes)
	if err != nil {
		return nil, fmt.Errorf("find lost exports: %w", err)
	}
	var lost []domain.Export
	err = s.inTx(ctx, "find lost exports", func(ctx context.Context, tx *sql.Tx) error {
		now := s.now()
		_, err := tx.ExecContext(ctx, `UPDATE host_node SET stopped_at = ?1 WHERE stopped_at IS NULL AND heartbeat_at < ?2`,
			micros(now), micros(now.Add(-deadAfter)))
		if err != nil {
			return fmt.Errorf("declare hosts dead: %w", err)
		}
		lost, err = all(ctx, tx, scanExport, selectLost, micros(now.Add(-time.Minute)), types, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return lost, nil
}
