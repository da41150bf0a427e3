package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
)

const selectLeased = `
WITH e AS MATERIALIZED (
	SELECT * FROM erp_export WHERE id = ANY (ARRAY (
		SELECT unnest(export_ids) FROM export_claim WHERE host_id = $1
		UNION ALL ` + runningOfOld + ` AND host_id = $1)) AND lease_host_id = $1
)
SELECT ` + exportColumns + `
FROM e` + exportParents

// Leased implements store.Ledger.
func (s *Store) Leased(ctx context.Context, hostID uuid.UUID) ([]domain.Export, error) {
	rows, err := s.pool.Query(ctx, selectLeased, hostID)
	if err != nil {
		return nil, fmt.Errorf("list leased exports: %w", err)
	}
	leased, err := pgx.CollectRows(rows, scanExport)
	if err != nil {
		return nil, fmt.Errorf("list leased exports: %w", err)
	}
	return leased, nil
}
