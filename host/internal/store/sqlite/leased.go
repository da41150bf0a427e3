package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

const selectLeased = `SELECT ` + exportColumns + ` FROM erp_export e` + exportParents + ` WHERE e.lease_host_id = ?1`

// Leased implements store.Ledger.
func (s *Store) Leased(ctx context.Context, hostID uuid.UUID) ([]domain.Export, error) {
	leased, err := all(ctx, s.reader, scanExport, selectLeased, hostID.String())
	if err != nil {
		return nil, fmt.Errorf("list leased exports: %w", err)
	}
	return leased, nil
}
