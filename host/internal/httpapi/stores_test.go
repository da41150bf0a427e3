package httpapi

import (
	"testing"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// stores are the databases that every test of the API runs on.
func stores() map[string]func(*testing.T) store.Store {
	return map[string]func(*testing.T) store.Store{"sqlite": openSQLite, "postgres": openPostgres}
}

func openPostgres(t *testing.T) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), storetest.PostgresURL(t), postgres.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openSQLite(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), storetest.SQLitePath(t), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
