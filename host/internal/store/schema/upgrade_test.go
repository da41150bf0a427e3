package schema_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/schema"
	"github.com/orderport/orderport/host/internal/store/sqlite"
)

// exportsOfOld are exports as they were before step 3, each in another state.
// #01 is an organization, #02 its connection, #03 a host, #21 to #27 orders.
const exportsOfOld = `
INSERT INTO organization VALUES (#01, 'acme', 'Acme', 1);
INSERT INTO erp_connection (id, org_id, connector_type, config_encrypted) VALUES (#02, #01, 'DROPZONE', x'01');
INSERT INTO host_node (id, name, version, started_at, heartbeat_at) VALUES (#03, 'alpha', '1', 1, 1);
INSERT INTO draft_order (org_id, id, content, content_sha256, created_at) VALUES
	(#01, #21, x'7b7d', zeroblob(32), 1), (#01, #22, x'7b7d', zeroblob(32), 1), (#01, #23, x'7b7d', zeroblob(32), 1),
	(#01, #24, x'7b7d', zeroblob(32), 1), (#01, #25, x'7b7d', zeroblob(32), 1), (#01, #26, x'7b7d', zeroblob(32), 1),
	(#01, #27, x'7b7d', zeroblob(32), 1);

INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version, external_ref, status, error_json,
	created_at, updated_at, attempt_count, next_attempt_at, tried, checkpoint, lease_host_id, lease_expires_at, sent_at, retry_of) VALUES
(#11, #01, #02, #21, '1.0', 'ref-11', 'PENDING', NULL, 1, 1, 2, 1,    1, x'aa', #03,  9,    NULL, NULL), -- runs again
(#12, #01, #02, #22, '1.0', 'ref-12', 'ACKED',   NULL, 1, 1, 1, NULL, 0, NULL,  #03,  9,    1,    NULL), -- acked while it runs
(#13, #01, #02, #23, '1.0', NULL,     'PENDING', NULL, 1, 1, 1, 1,    1, NULL,  NULL, NULL, NULL, NULL), -- waits for its next attempt
(#14, #01, #02, #24, '1.0', 'ref-14', 'SENT',    NULL, 1, 1, 1, NULL, 0, NULL,  NULL, NULL, 1,    NULL),
(#15, #01, #02, #25, '1.0', NULL,     'FAILED',  '{"code":"CONFLICT"}', 1, 1, 1, NULL, 0, NULL, NULL, NULL, NULL, NULL),
(#16, #01, #02, #25, '1.0', NULL,     'SENT',    NULL, 2, 2, 1, NULL, 0, NULL,  NULL, NULL, 2,    #15),
(#17, #01, #02, #26, '1.0', NULL,     'PENDING', NULL, 1, 1, 1, 1,    0, NULL,  #04,  9,    NULL, NULL), -- leased without an attempt
(#18, #01, #02, #27, '1.0', NULL,     'SENT',    NULL, 1, 1, 1, NULL, 0, NULL,  NULL, NULL, 1,    NULL); -- an attempt without a lease

INSERT INTO export_attempt (export_id, number, host_id, host_name, started_at, finished_at, outcome) VALUES
(#11, 1, #03, 'alpha', 1, 2, 'RETRY'), (#11, 2, #03, 'alpha', 3, NULL, 'RUNNING'),
(#12, 1, #03, 'alpha', 1, NULL, 'RUNNING'),
(#13, 1, #03, 'alpha', 1, 2, 'RETRY'),
(#14, 1, #03, 'alpha', 1, 2, 'DELIVERED'),
(#15, 1, #03, 'alpha', 1, 2, 'FAILED'),
(#16, 1, #03, 'alpha', 1, 2, 'DELIVERED'),
(#18, 1, #03, 'alpha', 1, NULL, 'RUNNING');`

// id is what exportsOfOld calls #n.
func id(n string) uuid.UUID { return uuid.MustParse("00000000-0000-4000-8000-0000000000" + n) }

// named gives rows the ids that they name.
func named(rows string) string {
	return regexp.MustCompile(`#(\d\d)`).ReplaceAllStringFunc(rows, func(n string) string { return "'" + id(n[1:]).String() + "'" })
}

// openOfOld opens a database that has rows, and two steps of the schema.
func openOfOld(t *testing.T, rows string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "a.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	old, err := schema.SQLiteOfOld(s.WriteDB(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteDB().ExecContext(t.Context(), named(rows)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExportsOfOldGoOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := openOfOld(t, exportsOfOld)
	now, err := s.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.Up(ctx); err != nil {
		t.Fatal(err)
	}

	attempts := func(export string) (list []string) {
		found, err := s.Attempts(ctx, id("01"), id(export))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range found {
			list = append(list, fmt.Sprintf("%d %s by %s", a.Number, a.Outcome, a.HostName))
		}
		return list
	}
	check := func(what string, got, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("attempts of 11", attempts("11"), []string{"1 RETRY by alpha", "2 RUNNING by alpha"})
	check("attempts of 14", attempts("14"), []string{"1 DELIVERED by alpha"})
	check("attempts of 17", attempts("17"), []string{"1 RUNNING by "})
	check("attempts of 18", attempts("18"), []string{"1 LOST by alpha"})

	leased, err := s.Leased(ctx, id("03"))
	if err != nil {
		t.Fatal(err)
	}
	var under []uuid.UUID
	for _, e := range leased {
		under = append(under, e.ID)
	}
	check("under way", under, []uuid.UUID{id("11"), id("12")})
	if n, err := s.InFlight(ctx, id("02")); err != nil || n != 3 {
		t.Errorf("%d in flight, %v; want 11, 13 and 17", n, err)
	}

	errs, err := s.FinishAll(ctx, []store.Finish{
		{ExportID: id("11"), HostID: id("03"), Attempt: 2, Outcome: domain.OutcomeDelivered, Status: domain.Sent},
		{ExportID: id("12"), HostID: id("03"), Attempt: 1, Outcome: domain.OutcomeDelivered, Status: domain.Sent},
	})
	if err != nil || errs[0] != nil || errs[1] != nil {
		t.Fatalf("finish: %v, %v", errs, err)
	}
	check("attempts of 11, ended", attempts("11"), []string{"1 RETRY by alpha", "2 DELIVERED by alpha"})
	check("attempts of 12, ended", attempts("12"), []string{"1 DELIVERED by alpha"})

	claimed, err := s.Claim(ctx, store.ClaimRequest{HostID: id("03"), ConnectionID: id("02"), Limit: 9, Lease: time.Minute})
	if err != nil || len(claimed) != 1 || claimed[0].Export.ID != id("13") {
		t.Fatalf("claimed %+v, %v; want 13", claimed, err)
	}
	check("attempts of 13, claimed", attempts("13"), []string{"1 RETRY by alpha", "2 RUNNING by alpha"})

	verdicts, err := s.ApplyAcks(ctx, id("02"), []store.Ack{
		{ExternalRef: "ref-11", Positive: true}, {ExternalRef: "ref-12", Positive: true}, {ExternalRef: "ref-14", Positive: true},
	}, "host:alpha")
	if err != nil {
		t.Fatal(err)
	}
	check("verdicts", verdicts, []store.AckVerdict{store.AckApplied, store.AckRepeated, store.AckApplied})

	for export, want := range map[string]domain.ExportStatus{
		"11": domain.Acked, "12": domain.Acked, "13": domain.Pending, "14": domain.Acked, "15": domain.Failed, "16": domain.Sent,
	} {
		e, err := s.Export(ctx, id("01"), id(export))
		if err != nil || e.Status != want {
			t.Errorf("export %s is %s, %v; want %s", export, e.Status, err, want)
		}
	}
	of25, _, err := s.ListExports(ctx, id("01"), store.ExportFilter{DraftOrderID: id("25")}, store.Page{Limit: 9})
	if err != nil || len(of25) != 2 || of25[0].ID != id("16") {
		t.Errorf("exports of order 25: %+v, %v", of25, err)
	}
}

func TestViewsOfOtherProgramsOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := openOfOld(t, exportsOfOld+`
		CREATE VIEW delivered AS SELECT e.id FROM erp_export e JOIN export_attempt a ON a.export_id = e.id WHERE a.outcome = 'DELIVERED'`)
	now, err := s.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.Up(ctx); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := s.WriteDB().QueryRowContext(ctx, "SELECT count(*) FROM delivered").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d delivered, %v; want 14 and 16", n, err)
	}
}

// manyOfOld are exports that are done.
const manyOfOld = `
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO draft_order (org_id, id, content, content_sha256, created_at) SELECT #01, 'order ' || i, x'7b7d', zeroblob(32), i FROM n;
INSERT INTO erp_export (id, org_id, erp_connection_id, draft_order_id, export_format_version, status, created_at, updated_at, attempt_count, sent_at)
SELECT 'export ' || id, org_id, #02, id, '1.0', 'SENT', created_at, 1, 1, 1 FROM draft_order WHERE id LIKE 'order %%';
INSERT INTO export_attempt (export_id, number, host_id, host_name, started_at, finished_at, outcome)
SELECT id, 1, #03, 'alpha', 1, 2, 'DELIVERED' FROM erp_export WHERE id LIKE 'export %%';`

// TestAnUpgradeTakesAsLongAsThereAreExports: a step that compares each export
// with all others takes 64 times as long for eight times as many.
func TestAnUpgradeTakesAsLongAsThereAreExports(t *testing.T) {
	t.Parallel()
	const few, many = 2_000, 16_000
	upgrade := func(n int) time.Duration {
		best := time.Hour
		for range 2 {
			s := openOfOld(t, exportsOfOld+fmt.Sprintf(manyOfOld, n))
			now, err := s.Schema()
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if _, err := now.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
			counts, err := s.CountExports(t.Context())
			if err != nil || counts[domain.Sent] != int64(n+3) {
				t.Errorf("%v exports, %v", counts, err)
			}
		}
		return best
	}
	short, long := upgrade(few), upgrade(many)
	if ratio := float64(long) / float64(short); ratio > 4*many/few {
		t.Errorf("%d exports took %v and %d %v, %.0f times as long", few, short, many, long, ratio)
	}
}
