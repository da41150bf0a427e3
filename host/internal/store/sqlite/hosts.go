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

// keepHosts is how long hosts that stopped are remembered.
const keepHosts = 7 * 24 * time.Hour

func typesJSON(types []string) (string, error) {
	if types == nil {
		types = []string{}
	}
	return toJSON(types)
}

// RegisterHost implements store.Hosts. It also forgets hosts that stopped more
// than a week ago and left nothing behind.
func (s *Store) RegisterHost(ctx context.Context, h domain.HostNode) error {
	types, err := typesJSON(h.ConnectorTypes)
	if err != nil {
		return err
	}
	return s.inTx(ctx, "register host", func(ctx context.Context, tx *sql.Tx) error {
		now := s.now()
		result, err := tx.ExecContext(ctx, `
			INSERT INTO host_node (id, name, version, connector_types, started_at, heartbeat_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version,
				connector_types = excluded.connector_types, heartbeat_at = excluded.heartbeat_at
			WHERE stopped_at IS NULL`, h.ID.String(), h.Name, h.Version, types, micros(now))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			return rules.HostStopped()
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM host_node WHERE stopped_at < ?1
			AND NOT EXISTS (SELECT 1 FROM erp_export e WHERE e.lease_host_id = host_node.id)`,
			micros(now.Add(-keepHosts)))
		return err
	})
}

// Heartbeat implements store.Hosts.
func (s *Store) Heartbeat(ctx context.Context, id uuid.UUID, connectorTypes []string) (alive bool, err error) {
	types, err := typesJSON(connectorTypes)
	if err != nil {
		return false, err
	}
	err = s.inTx(ctx, "heartbeat", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE host_node SET heartbeat_at = ?2, connector_types = ?3
			WHERE id = ?1 AND stopped_at IS NULL`, id.String(), micros(s.now()), types)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		alive = n == 1
		return err
	})
	return alive && err == nil, err
}

// StopHost implements store.Hosts.
func (s *Store) StopHost(ctx context.Context, id uuid.UUID) error {
	return s.inTx(ctx, "stop host", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE host_node SET stopped_at = ?2 WHERE id = ?1 AND stopped_at IS NULL`,
			id.String(), micros(s.now()))
		return err
	})
}

// ListHosts implements store.Hosts.
func (s *Store) ListHosts(ctx context.Context) ([]domain.HostNode, error) {
	list, err := all(ctx, s.reader, func(row scanner) (h domain.HostNode, err error) {
		return h, row.Scan(&h.ID, &h.Name, &h.Version, fromJSON(&h.ConnectorTypes), moment(&h.StartedAt),
			moment(&h.HeartbeatAt), momentOrNil(&h.StoppedAt))
	}, `SELECT id, name, version, connector_types, started_at, heartbeat_at, stopped_at
		FROM host_node ORDER BY started_at DESC, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	return list, nil
}
