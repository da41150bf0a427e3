package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

// one reads the only row of a query; missing is the answer if there is none.
func one[T any](ctx context.Context, q queryer, missing *fault.Error, scan pgx.RowToFunc[T], query string, args ...any) (T, error) {
	var zero T
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return zero, err
	}
	v, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return zero, missing
	}
	if err != nil {
		return zero, err
	}
	return v, nil
}

// Export implements store.Exports.
func (s *Store) Export(ctx context.Context, orgID, id uuid.UUID) (domain.Export, error) {
	e, err := exportByID(ctx, s.pool, orgID, id)
	if err != nil {
		return domain.Export{}, fmt.Errorf("read export: %w", err)
	}
	return e, nil
}

func exportByID(ctx context.Context, q queryer, orgID, id uuid.UUID) (domain.Export, error) {
	return one(ctx, q, rules.ExportNotFound(), scanExport,
		`SELECT `+exportColumns+` FROM erp_export e`+exportParents+` WHERE e.org_id = $1 AND e.id = $2`, orgID, id)
}

// DraftOrder implements store.Exports.
func (s *Store) DraftOrder(ctx context.Context, orgID, id uuid.UUID) (domain.DraftOrder, error) {
	d, err := one(ctx, s.pool, rules.DraftOrderNotFound(), scanDraftOrder, `
		SELECT org_id, id, content, content_sha256, external_order_number, created_at
		FROM draft_order WHERE org_id = $1 AND id = $2`, orgID, id)
	if err != nil {
		return domain.DraftOrder{}, fmt.Errorf("read draft order: %w", err)
	}
	return d, nil
}

func scanDraftOrder(row pgx.CollectableRow) (domain.DraftOrder, error) {
	var d domain.DraftOrder
	var hash []byte
	if err := row.Scan(&d.OrgID, &d.ID, &d.Content, &hash, &d.ExternalOrderNumber, &d.CreatedAt); err != nil {
		return domain.DraftOrder{}, err
	}
	d.SHA256 = [32]byte(hash)
	inUTC(&d.CreatedAt)
	return d, nil
}

// ListExports implements store.Exports.
func (s *Store) ListExports(ctx context.Context, orgID uuid.UUID, f store.ExportFilter, page store.Page) ([]domain.Export, string, error) {
	position, err := rules.ParseCursor(page.Cursor)
	if err != nil {
		return nil, "", err
	}
	query, args := listQuery(orgID, f, position, page.Limit+1)
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list exports: %w", err)
	}
	exports, err := pgx.CollectRows(rows, scanExport)
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
func listQuery(orgID uuid.UUID, f store.ExportFilter, after *rules.Position, limit int) (string, []any) {
	args := []any{orgID, limit}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var where strings.Builder
	if after != nil {
		where.WriteString(" AND (x.created_at, x.id) < (" + arg(after.At) + ", " + arg(after.ID) + ")")
	}
	if !f.Since.IsZero() {
		where.WriteString(" AND x.created_at >= " + arg(f.Since))
	}
	statuses := []string{string(domain.Pending), string(domain.Sent), string(domain.Acked), string(domain.Failed)}
	if f.Status != "" {
		statuses = []string{string(f.Status)}
	}
	status, narrow := arg(statuses), ""
	if f.ConnectionID != uuid.Nil {
		narrow = " AND k.id = " + arg(f.ConnectionID)
	}
	source := `erp_connection k CROSS JOIN unnest(` + status + `::text[]) AS s(status)
		CROSS JOIN LATERAL (
			SELECT x.* FROM erp_export x WHERE x.erp_connection_id = k.id AND x.status = s.status` + where.String() + `
			ORDER BY x.created_at DESC, x.id DESC LIMIT $2
		) e`
	if f.DraftOrderID != uuid.Nil {
		order := arg(f.DraftOrderID)
		source = `(
			SELECT * FROM erp_export WHERE org_id = $1 AND draft_order_id = ` + order + ` AND status IN ('PENDING', 'SENT', 'ACKED')
			UNION ALL
			SELECT * FROM erp_export WHERE org_id = $1 AND draft_order_id = ` + order + ` AND status = 'FAILED'
		) x JOIN erp_connection k ON k.id = x.erp_connection_id
		JOIN LATERAL (SELECT x.*) e ON e.status = ANY (` + status + `::text[])` + where.String()
	}
	return `SELECT ` + exportColumns + ` FROM ` + source + exportParents + `
		WHERE k.org_id = $1` + narrow + ` ORDER BY e.created_at DESC, e.id DESC LIMIT $2`, args
}

// CountExports implements store.Exports. It reads one index from end to end:
// ask every few seconds, not more often.
func (s *Store) CountExports(ctx context.Context) (map[domain.ExportStatus]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT status, count(*) FROM erp_export GROUP BY status`)
	if err != nil {
		return nil, fmt.Errorf("count exports: %w", err)
	}
	counts := map[domain.ExportStatus]int64{}
	var status string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
		counts[domain.ExportStatus(status)] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count exports: %w", err)
	}
	return counts, nil
}
