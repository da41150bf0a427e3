package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const selectConnection = `SELECT ` + connectionColumns + ` FROM erp_connection c `

const (
	// touch changes updated_at as the trigger would: never backwards, never
	// the same. ?1 is the present.
	touch = `updated_at = max(?1, updated_at + 1)`
	// resetHealth forgets what was known of the target.
	resetHealth = `health_state = 'UNKNOWN', health_code = NULL, health_reason = NULL, health_since = NULL,
	next_probe_at = NULL, probe_failures = 0`
)

// CreateConnection implements store.Connections.
func (s *Store) CreateConnection(ctx context.Context, c domain.Connection, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create connection", func(ctx context.Context, tx *sql.Tx) error {
		if err := needOrganization(ctx, tx, c.OrgID); err != nil {
			return err
		}
		if c.Status == "" {
			c.Status = domain.Active
		}
		if c.Status == domain.Active {
			if err := needNoOther(ctx, tx, c); err != nil {
				return err
			}
		}
		created := orElse(c.CreatedAt, s.now())
		_, err := tx.ExecContext(ctx, `
			INSERT INTO erp_connection (id, org_id, connector_type, config_encrypted, seal_version, seal_key_id, status,
				last_test_at, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.ID.String(), c.OrgID.String(), c.ConnectorType, c.Sealed.Blob, c.Sealed.Version, c.Sealed.KeyID,
			string(c.Status), microsOrNull(c.LastTestAt), micros(created), micros(orElse(c.UpdatedAt, created)))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// needNoOther keeps one active connection per type.
func needNoOther(ctx context.Context, tx *sql.Tx, c domain.Connection) error {
	other, err := exists(ctx, tx, `SELECT 1 FROM erp_connection
		WHERE org_id = ? AND connector_type = ? AND status = 'ACTIVE' AND id <> ?`, c.OrgID.String(), c.ConnectorType, c.ID.String())
	if err != nil {
		return err
	}
	if other {
		return rules.ConnectionExists()
	}
	return nil
}

// Connection implements store.Connections.
func (s *Store) Connection(ctx context.Context, orgID, id uuid.UUID) (domain.Connection, error) {
	return s.connection(ctx, `WHERE c.org_id = ? AND c.id = ?`, orgID.String(), id.String())
}

// ConnectionByID implements store.Ledger.
func (s *Store) ConnectionByID(ctx context.Context, id uuid.UUID) (domain.Connection, error) {
	return s.connection(ctx, `WHERE c.id = ?`, id.String())
}

func (s *Store) connection(ctx context.Context, condition string, args ...any) (domain.Connection, error) {
	c, err := one(ctx, s.reader, rules.ConnectionNotFound(), scanConnection, selectConnection+condition, args...)
	if err != nil {
		return domain.Connection{}, fmt.Errorf("read connection: %w", err)
	}
	return c, nil
}

func (s *Store) connections(ctx context.Context, what, condition string, args ...any) ([]domain.Connection, error) {
	list, err := all(ctx, s.reader, scanConnection, selectConnection+condition, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return list, nil
}

// ActiveConnection implements store.Connections.
func (s *Store) ActiveConnection(ctx context.Context, orgID uuid.UUID, connectorType string) (domain.Connection, error) {
	list, err := s.connections(ctx, "find active connection",
		`WHERE c.org_id = ?1 AND c.status = 'ACTIVE' AND (?2 = '' OR c.connector_type = ?2) LIMIT 2`, orgID.String(), connectorType)
	if err != nil {
		return domain.Connection{}, err
	}
	return rules.Only(list, connectorType)
}

// ListConnections implements store.Connections.
func (s *Store) ListConnections(ctx context.Context, orgID uuid.UUID) ([]domain.Connection, error) {
	return s.connections(ctx, "list connections", `WHERE c.org_id = ? ORDER BY c.created_at DESC, c.id DESC`, orgID.String())
}

// ActiveConnections implements store.Connections.
func (s *Store) ActiveConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error) {
	types, err := typesJSON(connectorTypes)
	if err != nil {
		return nil, err
	}
	return s.connections(ctx, "list active connections",
		`WHERE c.status = 'ACTIVE' AND c.connector_type IN (SELECT value FROM json_each(?)) ORDER BY c.id`, types)
}

// UpdateConfig implements store.Connections.
func (s *Store) UpdateConfig(ctx context.Context, orgID, id uuid.UUID, sealed domain.SealedConfig, audit domain.AuditEntry) (domain.Connection, error) {
	return s.changeConnection(ctx, "update connection", orgID, id, audit, func(ctx context.Context, tx *sql.Tx, _ domain.Connection) (bool, error) {
		_, err := tx.ExecContext(ctx, `UPDATE erp_connection
			SET config_encrypted = ?3, seal_version = ?4, seal_key_id = ?5, `+touch+`, `+resetHealth+` WHERE id = ?2`,
			micros(s.now()), id.String(), sealed.Blob, sealed.Version, sealed.KeyID)
		return true, err
	})
}

// SetConnectionStatus implements store.Connections.
func (s *Store) SetConnectionStatus(ctx context.Context, orgID, id uuid.UUID, status domain.ConnectionStatus, audit domain.AuditEntry) (domain.Connection, error) {
	return s.changeConnection(ctx, "set connection status", orgID, id, audit, func(ctx context.Context, tx *sql.Tx, c domain.Connection) (bool, error) {
		assign, enable := `status = ?3, `+touch, status == domain.Active
		if enable {
			if err := needNoOther(ctx, tx, c); err != nil {
				return false, err
			}
			assign += `, ` + resetHealth
		}
		_, err := tx.ExecContext(ctx, `UPDATE erp_connection SET `+assign+` WHERE id = ?2`, micros(s.now()), id.String(), string(status))
		return enable, err
	})
}

// changeConnection lets change write, which says whether to wake the
// connection, and returns the connection as it is then.
func (s *Store) changeConnection(ctx context.Context, what string, orgID, id uuid.UUID, audit domain.AuditEntry,
	change func(context.Context, *sql.Tx, domain.Connection) (wake bool, err error),
) (domain.Connection, error) {
	var changed domain.Connection
	err := s.inTx(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		read := func() (domain.Connection, error) {
			return one(ctx, tx, rules.ConnectionNotFound(), scanConnection,
				selectConnection+`WHERE c.org_id = ? AND c.id = ?`, orgID.String(), id.String())
		}
		before, err := read()
		if err != nil {
			return err
		}
		wake, err := change(ctx, tx, before)
		if err != nil {
			return err
		}
		if changed, err = read(); err != nil {
			return err
		}
		if err := appendAudit(ctx, tx, audit); err != nil || !wake {
			return err
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
			health_since = CASE WHEN health_state = 'HEALTHY' THEN health_since ELSE ?1 END`
	}
	return s.inTx(ctx, "record connection test", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE erp_connection SET last_test_at = ?1, `+touch+health+`
			WHERE org_id = ?2 AND id = ?3`, micros(s.now()), orgID.String(), id.String())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			return rules.ConnectionNotFound()
		}
		return nil
	})
}

// SetHealth implements store.Connections.
func (s *Store) SetHealth(ctx context.Context, id uuid.UUID, asOf time.Time, h domain.Health) error {
	return s.inTx(ctx, "set connection health", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE erp_connection SET health_state = ?3, health_code = ?4, health_reason = ?5, health_since = ?6,
				next_probe_at = ?7, probe_failures = ?8, upkeep_count = upkeep_count + 1
			WHERE id = ?1 AND updated_at <= ?2`,
			id.String(), micros(asOf), string(h.State), orNull(h.Code), orNull(h.Reason), microsOrNull(h.Since),
			microsOrNull(h.NextProbeAt), h.Failures)
		return err
	})
}

// PlanProbe implements store.Connections.
func (s *Store) PlanProbe(ctx context.Context, id uuid.UUID, asOf time.Time, seen, planned domain.Health) (mine bool, err error) {
	err = s.inTx(ctx, "plan next probe", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `
			UPDATE erp_connection SET next_probe_at = ?4, upkeep_count = upkeep_count + 1
			WHERE id = ?1 AND updated_at <= ?2 AND health_state = ?5 AND next_probe_at IS ?3`,
			id.String(), micros(asOf), microsOrNull(seen.NextProbeAt), microsOrNull(planned.NextProbeAt), string(domain.Down))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		mine = n == 1
		return err
	})
	return mine && err == nil, err
}

// ConnectionsToReseal implements store.Connections.
func (s *Store) ConnectionsToReseal(ctx context.Context, keyID string, after uuid.UUID, limit int) ([]domain.Connection, error) {
	return s.connections(ctx, "list connections to re-seal",
		`WHERE c.id > ?2 AND (c.seal_key_id <> ?1 OR c.seal_version = 0) ORDER BY c.id LIMIT ?3`, keyID, after.String(), limit)
}

// Reseal implements store.Connections.
func (s *Store) Reseal(ctx context.Context, id uuid.UUID, old []byte, sealed domain.SealedConfig) (done bool, err error) {
	err = s.inTx(ctx, "re-seal connection", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE erp_connection
			SET config_encrypted = ?3, seal_version = ?4, seal_key_id = ?5, upkeep_count = upkeep_count + 1
			WHERE id = ?1 AND config_encrypted = ?2`, id.String(), old, sealed.Blob, sealed.Version, sealed.KeyID)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		done = n == 1
		return err
	})
	return done && err == nil, err
}
