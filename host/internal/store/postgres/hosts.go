package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// RegisterHost implements store.Hosts. It also forgets hosts that stopped more
// than a week ago and left nothing behind.
func (s *Store) RegisterHost(ctx context.Context, h domain.HostNode) error {
	return s.inTx(ctx, "register host", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO host_node (id, name, version, connector_types, started_at, heartbeat_at)
			VALUES ($1, $2, $3, $4, now(), now())
			ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, version = EXCLUDED.version,
				connector_types = EXCLUDED.connector_types, heartbeat_at = now()
			WHERE host_node.stopped_at IS NULL`, h.ID, h.Name, h.Version, listOrEmpty(h.ConnectorTypes))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return rules.HostStopped()
		}
		_, err = tx.Exec(ctx, `DELETE FROM host_node h WHERE stopped_at < now() - interval '7 days'
			AND NOT EXISTS (SELECT FROM export_claim l WHERE l.host_id = h.id)
			AND NOT EXISTS (SELECT FROM export_attempt a WHERE a.host_id = h.id AND a.outcome = 'RUNNING')`)
		return err
	})
}

func listOrEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Heartbeat implements store.Hosts.
func (s *Store) Heartbeat(ctx context.Context, id uuid.UUID, connectorTypes []string) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE host_node SET heartbeat_at = now(), connector_types = $2
		WHERE id = $1 AND stopped_at IS NULL`, id, listOrEmpty(connectorTypes))
	if err != nil {
		return false, fmt.Errorf("heartbeat: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// StopHost implements store.Hosts.
func (s *Store) StopHost(ctx context.Context, id uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `UPDATE host_node SET stopped_at = now() WHERE id = $1 AND stopped_at IS NULL`, id)
	if err != nil {
		return fmt.Errorf("stop host: %w", err)
	}
	return nil
}

// ListHosts implements store.Hosts.
func (s *Store) ListHosts(ctx context.Context) ([]domain.HostNode, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, name, version, connector_types, started_at, heartbeat_at, stopped_at
		FROM host_node ORDER BY started_at DESC, id DESC`)
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (domain.HostNode, error) {
		var h domain.HostNode
		err := row.Scan(&h.ID, &h.Name, &h.Version, &h.ConnectorTypes, &h.StartedAt, &h.HeartbeatAt, &h.StoppedAt)
		inUTC(&h.StartedAt, &h.HeartbeatAt, h.StoppedAt)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	return list, nil
}

// orMissing replaces "no rows".
func orMissing(err error, missing *fault.Error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return missing
	}
	return err
}
