package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const selectConnection = `SELECT ` + connectionColumns + ` FROM erp_connection c `

// resetHealth forgets what was known of the target.
const resetHealth = `health_state = 'UNKNOWN', health_code = NULL, health_reason = NULL, health_since = NULL,
	next_probe_at = NULL, probe_failures = 0`

// CreateConnection implements store.Connections.
func (s *Store) CreateConnection(ctx context.Context, c domain.Connection, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create connection", func(tx pgx.Tx) error {
		status := c.Status
		if status == "" {
			status = domain.Active
		}
		updated := c.UpdatedAt
		if updated.IsZero() {
			updated = c.CreatedAt
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO erp_connection (id, org_id, connector_type, config_encrypted, seal_version, seal_key_id, status,
				last_test_at, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, COALESCE($9, now()), COALESCE($10, now()))`,
			c.ID, c.OrgID, c.ConnectorType, c.Sealed.Blob, c.Sealed.Version, c.Sealed.KeyID, string(status),
			c.LastTestAt, timeOrNull(c.CreatedAt), timeOrNull(updated))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// Connection implements store.Connections.
func (s *Store) Connection(ctx context.Context, orgID, id uuid.UUID) (domain.Connection, error) {
	return s.connection(ctx, `WHERE c.org_id = $1 AND c.id = $2`, orgID, id)
}

// ConnectionByID implements store.Ledger.
func (s *Store) ConnectionByID(ctx context.Context, id uuid.UUID) (domain.Connection, error) {
	return s.connection(ctx, `WHERE c.id = $1`, id)
}

func (s *Store) connection(ctx context.Context, condition string, args ...any) (domain.Connection, error) {
	c, err := one(ctx, s.pool, rules.ConnectionNotFound(), scanConnection, selectConnection+condition, args...)
	if err != nil {
		return domain.Connection{}, fmt.Errorf("read connection: %w", err)
	}
	return c, nil
}

func (s *Store) connections(ctx context.Context, what, query string, args ...any) ([]domain.Connection, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	list, err := pgx.CollectRows(rows, scanConnection)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return list, nil
}

// ActiveConnection implements store.Connections.
func (s *Store) ActiveConnection(ctx context.Context, orgID uuid.UUID, connectorType string) (domain.Connection, error) {
	list, err := s.connections(ctx, "find active connection", selectConnection+`
		WHERE c.org_id = $1 AND c.status = 'ACTIVE' AND ($2 = '' OR c.connector_type = $2) LIMIT 2`, orgID, connectorType)
	if err != nil {
		return domain.Connection{}, err
	}
	return rules.Only(list, connectorType)
}

// ListConnections implements store.Connections.
func (s *Store) ListConnections(ctx context.Context, orgID uuid.UUID) ([]domain.Connection, error) {
	return s.connections(ctx, "list connections", selectConnection+`WHERE c.org_id = $1 ORDER BY c.created_at DESC, c.id DESC`, orgID)
}

// ActiveConnections implements store.Connections.
func (s *Store) ActiveConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error) {
	return s.connections(ctx, "list active connections", selectConnection+`
		WHERE c.status = 'ACTIVE' AND c.connector_type = ANY ($1) ORDER BY c.id`, connectorTypes)
}

// UpdateConfig implements store.Connections.
func (s *Store) UpdateConfig(ctx context.Context, orgID, id uuid.UUID, sealed domain.SealedConfig, audit domain.AuditEntry) (domain.Connection, error) {
	return s.changeConnection(ctx, "update connection", id, true, audit, `
		UPDATE erp_connection c SET config_encrypted = $3, seal_version = $4, seal_key_id = $5, `+resetHealth+`
		WHERE c.org_id = $1 AND c.id = $2 RETURNING `+connectionColumns,
		orgID, id, sealed.Blob, sealed.Version, sealed.KeyID)
}

// SetConnectionStatus implements store.Connections.
func (s *Store) SetConnectionStatus(ctx context.Context, orgID, id uuid.UUID, status domain.ConnectionStatus, audit domain.AuditEntry) (domain.Connection, error) {
	assign, enable := `status = $3`, status == domain.Active
	if enable {
		assign += `, ` + resetHealth
	}
	return s.changeConnection(ctx, "set connection status", id, enable, audit, `
		UPDATE erp_connection c SET `+assign+` WHERE c.org_id = $1 AND c.id = $2 RETURNING `+connectionColumns,
		orgID, id, string(status))
}

// changeConnection runs an update that returns the connection.
func (s *Store) changeConnection(ctx context.Context, what string, id uuid.UUID, wake bool, audit domain.AuditEntry, query string, args ...any) (domain.Connection, error) {
	var changed domain.Connection
	err := s.inTx(ctx, what, func(tx pgx.Tx) (err error) {
		changed, err = one(ctx, tx, rules.ConnectionNotFound(), scanConnection, query, args...)
		if err != nil {
			return err
		}
		if err := appendAudit(ctx, tx, audit); err != nil {
			return err
		}
		if !wake {
			return nil
		}
		return s.wake(ctx, tx, []uuid.UUID{id})
	})
	return changed, err
}

// RecordTest implements store.Connections.
func (s *Store) RecordTest(ctx context.Context, orgID, id uuid.UUID, success bool) error {
	health := ``
	if success {
		health = `, health_state = 'HEALTHY', health_code = NULL, health_reason = NULL, next_probe_at = NULL, probe_failures = 0,
			health_since = CASE WHEN health_state = 'HEALTHY' THEN health_since ELSE now() END`
	}
	tag, err := s.pool.Exec(ctx, `UPDATE erp_connection SET last_test_at = now()`+health+` WHERE org_id = $1 AND id = $2`, orgID, id)
	if err != nil {
		return fmt.Errorf("record connection test: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return rules.ConnectionNotFound()
	}
	return nil
}

// SetHealth implements store.Connections.
func (s *Store) SetHealth(ctx context.Context, id uuid.UUID, asOf time.Time, h domain.Health) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE erp_connection SET health_state = $3, health_code = $4, health_reason = $5, health_since = $6,
			next_probe_at = $7, probe_failures = $8, upkeep_count = upkeep_count + 1
		WHERE id = $1 AND updated_at <= $2`,
		id, asOf, string(h.State), orNull(h.Code), orNull(h.Reason), h.Since, h.NextProbeAt, h.Failures)
	if err != nil {
		return fmt.Errorf("set connection health: %w", err)
	}
	return nil
}

// PlanProbe implements store.Connections.
func (s *Store) PlanProbe(ctx context.Context, id uuid.UUID, asOf time.Time, seen, planned domain.Health) (bool, error) {
	tag, err := s.pool.Exec(ctx, `
		UPDATE erp_connection SET next_probe_at = $4, upkeep_count = upkeep_count + 1
		WHERE id = $1 AND updated_at <= $2 AND health_state = $5 AND next_probe_at IS NOT DISTINCT FROM $3`,
		id, asOf, seen.NextProbeAt, planned.NextProbeAt, string(domain.Down))
	if err != nil {
		return false, fmt.Errorf("plan next probe: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// ConnectionsToReseal implements store.Connections.
func (s *Store) ConnectionsToReseal(ctx context.Context, keyID string, after uuid.UUID, limit int) ([]domain.Connection, error) {
	return s.connections(ctx, "list connections to re-seal", selectConnection+`
		WHERE c.id > $2 AND (c.seal_key_id <> $1 OR c.seal_version = 0) ORDER BY c.id LIMIT $3`, keyID, after, limit)
}

// Reseal implements store.Connections.
func (s *Store) Reseal(ctx context.Context, id uuid.UUID, old []byte, sealed domain.SealedConfig) (bool, error) {
	tag, err := s.pool.Exec(ctx, `
		UPDATE erp_connection SET config_encrypted = $3, seal_version = $4, seal_key_id = $5, upkeep_count = upkeep_count + 1
		WHERE id = $1 AND config_encrypted = $2`, id, old, sealed.Blob, sealed.Version, sealed.KeyID)
	if err != nil {
		return false, fmt.Errorf("re-seal connection: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
