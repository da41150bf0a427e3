package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// noStatistics keeps the planner as ignorant as it is after an installation.
const noStatistics = `
ALTER TABLE erp_export SET (autovacuum_enabled = off);
ALTER TABLE draft_order SET (autovacuum_enabled = off);
ALTER TABLE export_attempt SET (autovacuum_enabled = off);
ALTER TABLE export_claim SET (autovacuum_enabled = off);
ALTER TABLE erp_connection SET (autovacuum_enabled = off);
ALTER TABLE organization SET (autovacuum_enabled = off);
`

// fill makes 20,000 exports over one connection and 300 connections with one
// export each.
const fill = `
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
// touch whose plans were made, and kept, when the tables were empty. One that
// reads a whole table or backlog touches thousands.
func TestStatementsStayCheapWithoutStatistics(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := Open(ctx, storetest.PostgresURL(t), Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.pool.Exec(ctx, noStatistics); err != nil {
		t.Fatal(err)
	}
	w := storetest.NewWorld(t, s)
	for _, one := range statements(t, w, make([]domain.Export, 1)) {
		pagesOf(t, s, one.query, one.args...)
	}
	if _, err := s.pool.Exec(ctx, fill); err != nil {
		t.Fatal(err)
	}
	other := *w
	other.Host = w.NewHost("lost")
	other.Claim(64) // something is lost
	if err := s.StopHost(ctx, other.Host); err != nil {
		t.Fatal(err)
	}
	w.Claim(64) // something is under way
	sent, _, err := s.ListExports(ctx, w.Org.ID, store.ExportFilter{Status: domain.Sent}, store.Page{Limit: 64})
	if err != nil || len(sent) != 64 {
		t.Fatalf("%d exports, %v", len(sent), err)
	}
	for _, one := range statements(t, w, sent) {
		got := pagesOf(t, s, one.query, one.args...)
		t.Logf("%s: %d pages", one.name, got)
		if got > one.pages {
			t.Errorf("%s touches %d pages, at most %d are fine", one.name, got, one.pages)
		}
	}
}

type statement struct {
	name, query string
	args        []any
	pages       int // at most, for 64 exports
}

// statements are those of the hot path and the lists, about some exports.
func statements(t *testing.T, w *storetest.World, exports []domain.Export) []statement {
	t.Helper()
	n := len(exports)
	orgs, drafts, conns, refs := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]string, n)
	saves, finishes := make([]store.Save, n), make([]store.Finish, n)
	for i, e := range exports {
		orgs[i], drafts[i], conns[i], refs[i] = e.OrgID, e.DraftOrderID, e.ConnectionID, e.ExternalRef
		saves[i] = store.Save{ExportID: e.ID, HostID: w.Host, Attempt: 1}
		finishes[i] = store.Finish{ExportID: e.ID, HostID: w.Host, Attempt: 1, Outcome: domain.OutcomeRetry, Status: domain.Pending}
	}
	ends, err := finishArguments(finishes)
	if err != nil {
		t.Fatal(err)
	}
	all := []statement{
		{"claim", claimRegular, []any{w.Conn.ID, w.Host, 64, time.Minute, w.Conn.UpdatedAt, time.Time{}, uuid.Nil}, 4000},
		{"claim suspects", claimSuspects, []any{w.Conn.ID, w.Host, 64, time.Minute, w.Conn.UpdatedAt, time.Time{}, uuid.Nil}, 50},
		{"save", saveBatch, saveArguments(saves), 1500},
		{"finish", finishBatch, ends, 1500},
		{"find ended attempts", endedBefore, ends[:4], 500},
		{"due connections", dueConnections, []any{[]string{"DROPZONE_JSON_V1"}}, 5000},
		{"in flight", countInFlight, []any{w.Conn.ID}, 500},
		{"lost", selectLost, []any{[]string{"DROPZONE_JSON_V1"}, 64}, 1500},
		{"leased", selectLeased, []any{w.Host}, 1500},
		{"forget claims", forgetClaims, nil, 500},
		{"acks", ackTargets, []any{w.Conn.ID, refs}, 1500},
		{"known orders", latestOf, []any{orgs, drafts, conns}, 2500},
	}
	position := &rules.Position{At: time.Now(), ID: uuid.New()}
	for name, filter := range map[string]store.ExportFilter{
		"list":               {},
		"list by state":      {Status: domain.Failed},
		"list by connection": {ConnectionID: w.Conn.ID},
		"list by order":      {DraftOrderID: uuid.New()},
		"list by time":       {Since: time.Now().Add(-time.Minute)},
	} {
		query, args := listQuery(w.Org.ID, filter, position, 50)
		all = append(all, statement{name, query, args, 2500})
	}
	return all
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
	before := pagesSoFar(t, tx)
	if _, err := tx.Exec(ctx, query, args...); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	return pagesSoFar(t, tx) - before
}

// pagesSoFar returns the session's count.
func pagesSoFar(t *testing.T, tx pgx.Tx) int {
	t.Helper()
	var pages int
	err := tx.QueryRow(context.Background(), `SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')`).Scan(&pages)
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
