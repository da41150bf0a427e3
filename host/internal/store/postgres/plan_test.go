package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// fill makes 20,000 exports over one connection and 300 connections with one
// export each, so quickly that there are no statistics yet.
const fill = `
ALTER TABLE erp_export SET (autovacuum_enabled = off);
ALTER TABLE draft_order SET (autovacuum_enabled = off);
INSERT INTO organization (slug, name) SELECT 'other-' || i, 'Other' FROM generate_series(1, 300) i;
INSERT INTO erp_connection (org_id, connector_type, config_encrypted)
	SELECT id, 'DROPZONE_JSON_V1', '\x00' FROM organization WHERE slug LIKE 'other-%';
INSERT INTO draft_order (org_id, id, content, content_sha256, created_at)
	SELECT c.org_id, gen_random_uuid(), '{}', sha256('{}'), now() - i * interval '1 second'
	FROM erp_connection c, generate_series(1, 20000) i
	WHERE i = 1 OR c.org_id NOT IN (SELECT id FROM organization WHERE slug LIKE 'other-%');
INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version, status, created_at, updated_at,
	next_attempt_at, external_ref)
	SELECT gen_random_uuid(), d.org_id, c.id, d.id, 'v1',
		CASE WHEN n % 2 = 0 THEN 'PENDING' WHEN n % 100 = 1 THEN 'FAILED' ELSE 'SENT' END, d.created_at, d.created_at,
		CASE WHEN n % 2 = 0 THEN d.created_at END, 'ref-' || n
	FROM (SELECT *, row_number() OVER () AS n FROM draft_order) d JOIN erp_connection c ON c.org_id = d.org_id;
`

// TestStatementsStayCheapWithoutStatistics counts the pages that statements
// touch. One that reads a whole table or backlog touches thousands.
func TestStatementsStayCheapWithoutStatistics(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := Open(ctx, storetest.PostgresURL(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := storetest.NewWorld(t, s)
	if _, err := s.pool.Exec(ctx, fill); err != nil {
		t.Fatal(err)
	}
	w.Claim(64) // something is under way
	sent, _, err := s.ListExports(ctx, w.Org.ID, store.ExportFilter{Status: domain.Sent}, store.Page{Limit: 64})
	if err != nil {
		t.Fatal(err)
	}
	orgs, drafts, conns, refs := make([]uuid.UUID, 64), make([]uuid.UUID, 64), make([]uuid.UUID, 64), make([]string, 64)
	for i, e := range sent {
		orgs[i], drafts[i], conns[i], refs[i] = e.OrgID, e.DraftOrderID, e.ConnectionID, e.ExternalRef
	}

	type statement struct {
		name, query string
		args        []any
		pages       int // at most
	}
	statements := []statement{
		{"claim 64", claimRegular, []any{w.Conn.ID, w.Host, 64, time.Minute}, 2500},
		{"claim suspects", claimSuspects, []any{w.Conn.ID, w.Host, 64, time.Minute}, 50},
		{"300 due connections", dueConnections, []any{[]string{"DROPZONE_JSON_V1"}}, 5000},
		{"in flight", countInFlight, []any{w.Conn.ID}, 500},
		{"lost", selectLost, []any{64}, 1500},
		{"64 acks", ackTargets, []any{w.Conn.ID, refs}, 1500},
		{"64 known orders", latestOf, []any{orgs, drafts, conns}, 2500},
	}
	position := &rules.Position{At: time.Now(), ID: uuid.New()}
	for name, filter := range map[string]store.ExportFilter{
		"list":               {},
		"list by state":      {Status: domain.Failed},
		"list by connection": {ConnectionID: w.Conn.ID},
		"list by order":      {DraftOrderID: drafts[0]},
		"list by time":       {Since: time.Now().Add(-time.Minute)},
	} {
		query, args := listQuery(w.Org.ID, filter, position, 50)
		statements = append(statements, statement{name, query, args, 2000})
	}
	for _, one := range statements {
		if got := pagesOf(t, s, one.query, one.args...); got > one.pages {
			t.Errorf("%s touches %d pages, at most %d are fine", one.name, got, one.pages)
		} else {
			t.Logf("%s touches %d pages", one.name, got)
		}
	}
}

// pagesOf runs a statement, undoes it, and returns how many pages it touched.
func pagesOf(t *testing.T, s *Store, query string, args ...any) int {
	t.Helper()
	ctx := context.Background()
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	rows, err := tx.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(fmt.Errorf("explain: %w", err))
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal([]byte(raw), &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}
