package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// Export implements store.Exports.
func (s *Store) Export(ctx context.Context, orgID, id uuid.UUID) (domain.Export, error) {
	e, err := exportByID(ctx, s.reader, orgID, id)
	if err != nil {
		return domain.Export{}, fmt.Errorf("read export: %w", err)
	}
	return e, nil
}

func exportByID(ctx context.Context, q queryer, orgID, id uuid.UUID) (domain.Export, error) {
	return one(ctx, q, rules.ExportNotFound(), scanExport,
		`SELECT `+exportColumns+` FROM erp_export e`+exportParents+` WHERE e.id = ? AND e.org_id = ?`, id.String(), orgID.String())
}

// DraftOrder implements store.Exports.
func (s *Store) DraftOrder(ctx context.Context, orgID, id uuid.UUID) (domain.DraftOrder, error) {
	d, err := one(ctx, s.reader, rules.DraftOrderNotFound(), func(row scanner) (d domain.DraftOrder, err error) {
		return d, row.Scan(&d.OrgID, &d.ID, &d.Content, hashInto(&d.SHA256), &d.ExternalOrderNumber, moment(&d.CreatedAt))
	}, `SELECT org_id, id, content, content_sha256, external_order_number, created_at
		FROM draft_order WHERE org_id = ? AND id = ?`, orgID.String(), id.String())
	if err != nil {
		return domain.DraftOrder{}, fmt.Errorf("read draft order: %w", err)
	}
	return d, nil
}

// ListExports implements store.Exports.
func (s *Store) ListExports(ctx context.Context, orgID uuid.UUID, f store.ExportFilter, page store.Page) ([]domain.Export, string, error) {
	position, err := rules.ParseCursor(page.Cursor)
	if err != nil {
		return nil, "", err
	}
	query, args, err := listQuery(orgID, f, position, page.Limit+1)
	if err != nil {
		return nil, "", err
	}
	exports, err := all(ctx, s.reader, scanExport, query, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list exports: %w", err)
	}
	next := ""
	if len(exports) > page.Limit {
		exports = exports[:page.Limit]
		last := exports[page.Limit-1]
		next = rules.Position{At: last.CreatedAt, ID: last.ID}.Cursor()
	}
	return exports, next, nil
}

// listQuery takes the newest of each connection and state and merges them, so
// that one index serves every filter. The exports of one draft order are few
// and are found by it.
func listQuery(orgID uuid.UUID, f store.ExportFilter, after *rules.Position, limit int) (string, []any, error) {
	args := []any{orgID.String(), limit}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("?%d", len(args))
	}
	var where strings.Builder
	if after != nil {
		where.WriteString(" AND (x.created_at, x.id) < (" + arg(micros(after.At)) + ", " + arg(after.ID.String()) + ")")
	}
	if !f.Since.IsZero() {
		where.WriteString(" AND x.created_at >= " + arg(micros(f.Since)))
	}
	wanted := []domain.ExportStatus{domain.Pending, domain.Sent, domain.Acked, domain.Failed}
	if f.Status != "" {
		wanted = []domain.ExportStatus{f.Status}
	}
	list, err := toJSON(wanted)
	if err != nil {
		return "", nil, err
	}
	statuses, narrow := `json_each(`+arg(list)+`)`, ""
	if f.ConnectionID != uuid.Nil {
		narrow = " AND k.id = " + arg(f.ConnectionID.String())
	}
	source := `erp_connection k CROSS JOIN ` + statuses + ` s CROSS JOIN erp_export e ON e.rowid IN (
			SELECT x.rowid FROM erp_export x WHERE x.erp_connection_id = k.id AND x.status = s.value` + where.String() + `
			ORDER BY x.created_at DESC, x.id DESC LIMIT ?2)`
	if f.DraftOrderID != uuid.Nil {
		order := arg(f.DraftOrderID.String())
		source = `(
			SELECT * FROM erp_export WHERE org_id = ?1 AND draft_order_id = ` + order + ` AND live
			UNION ALL
			SELECT * FROM erp_export WHERE org_id = ?1 AND draft_order_id = ` + order + ` AND NOT live
		) e JOIN erp_connection k ON k.id = e.erp_connection_id`
		narrow += " AND e.status IN (SELECT value FROM " + statuses + ")" + strings.ReplaceAll(where.String(), "x.", "e.")
	}
	return `SELECT ` + exportColumns + ` FROM ` + source + exportParents + `
		WHERE k.org_id = ?1` + narrow + ` ORDER BY e.created_at DESC, e.id DESC LIMIT ?2`, args, nil
}

// CountExports implements store.Exports. It reads one index from end to end:
// ask every few seconds, not more often.
func (s *Store) CountExports(ctx context.Context) (map[domain.ExportStatus]int64, error) {
	var pending, sent, acked, failed int64
	err := s.reader.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status = 'PENDING'), count(*) FILTER (WHERE status = 'SENT'),
		count(*) FILTER (WHERE status = 'ACKED'), count(*) FILTER (WHERE status = 'FAILED') FROM erp_export`).
		Scan(&pending, &sent, &acked, &failed)
	if err != nil {
		return nil, fmt.Errorf("count exports: %w", err)
	}
	counts := map[domain.ExportStatus]int64{}
	for status, n := range map[domain.ExportStatus]int64{
		domain.Pending: pending, domain.Sent: sent, domain.Acked: acked, domain.Failed: failed,
	} {
		if n > 0 {
			counts[status] = n
		}
	}
	return counts, nil
}
