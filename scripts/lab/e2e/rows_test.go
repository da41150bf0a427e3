package e2e

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/orderport/orderport/scripts/lab/world"
)

// openRows opens an installation's database.
func openRows(t *testing.T, in *world.Installation) *sql.DB {
	t.Helper()
	driver, source := "pgx", in.DatabaseURL
	if source == "" {
		driver, source = "sqlite", filepath.Join(in.DataDir(), "orderport.db")
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// attemptsRunning counts exports whose attempts have not ended, as a stopped host left
// them: the API shows attempts of one export at a time.
func attemptsRunning(ctx context.Context, t *testing.T, in *world.Installation) (n int) {
	t.Helper()
	err := openRows(t, in).QueryRowContext(ctx, "SELECT count(*) FROM erp_export WHERE lease_host_id IS NOT NULL").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
