package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// Leased implements store.Ledger. Attempts under way are few and have an index
// of their own.
func (s *Store) Leased(ctx context.Context, hostID uuid.UUID) ([]domain.Export, error) {
	leased, err := all(ctx, s.reader, scanExport, `
		SELECT `+exportColumns+`
		FROM export_attempt a
		CROSS JOIN erp_export e ON e.id = a.export_id AND e.attempt_count = a.number AND e.lease_host_id = a.host_id`+exportParents+`
		WHERE a.outcome = 'RUNNING' AND a.host_id = ?`, hostID.String())
	if err != nil {
		return nil, fmt.Errorf("list leased exports: %w", err)
	}
	return leased, nil
}
