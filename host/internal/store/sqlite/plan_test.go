package sqlite

import (
	"database/sql"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// TestStatementsGoByAnIndex keeps every statement that may meet a million
// exports from reading or sorting them all.
func TestStatementsGoByAnIndex(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), storetest.SQLitePath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })

	statements := map[string]string{
		"claim":                    selectDueRegular,
		"claim suspects":           selectDueSuspects,
		"due connections":          dueConnections,
		"in flight":                countInFlight,
		"lost":                     selectLost,
		"leased":                   selectLeased,
		"save":                     saveCheckpoint,
		"finish":                   finishPending,
		"finish what has failed":   finishFailed,
		"finish what an ack ended": finishSettled,
		"put attempts aside":       newAttempt,
		"lease":                    leaseExports,
		"attempts":                 selectAttempts,
		"ack targets":              ackTargets,
		"a known order":            selectLatest,
	}
	position := &rules.Position{At: time.Now(), ID: uuid.New()}
	for name, filter := range map[string]store.ExportFilter{
		"list":               {},
		"list by state":      {Status: domain.Failed},
		"list by connection": {ConnectionID: uuid.New()},
		"list by order":      {DraftOrderID: uuid.New()},
		"list by time":       {Since: time.Now()},
	} {
		query, _, err := listQuery(uuid.New(), filter, position, 50)
		if err != nil {
			t.Fatal(err)
		}
		statements[name] = query
	}
	for name, query := range statements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := explain(t, s.reader, query)
			for _, line := range strings.Split(plan, "\n") {
				if whole.MatchString(line) && !strings.Contains(line, "idx_erp_export_leased") {
					t.Errorf("%s:\n%s", line, plan)
				}
			}
		})
	}
}

// whole matches a step that reads a table, or an alias of erp_export, from end
// to end.
var whole = regexp.MustCompile(`SCAN (erp_export|draft_order|export_attempt|x)\b`)

var parameter = regexp.MustCompile(`\?(\d+)`)

// explain returns SQLite's plan, one step a line.
func explain(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	n := 0
	for _, found := range parameter.FindAllStringSubmatch(query, -1) {
		if i, err := strconv.Atoi(found[1]); err == nil {
			n = max(n, i)
		}
	}
	args := make([]any, n)
	for i := range args {
		args[i] = "1"
	}
	steps, err := all(t.Context(), db, func(row scanner) (detail string, err error) {
		var id, parent, unused int
		return detail, row.Scan(&id, &parent, &unused, &detail)
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}
