package storetest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"github.com/orderport/orderport/host/internal/store/schema"
)

// SQLitePath returns the file of a new, migrated database of the test's own.
func SQLitePath(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orderport.db")
	connector, err := sqlite.NewConnector("file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	}()
	s, err := schema.SQLite(db)
	if err != nil {
		t.Fatalf("read the schema: %v", err)
	}
	if _, err := s.Up(context.Background()); err != nil {
		t.Fatalf("migrate %s: %v", path, err)
	}
	return path
}
