package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestStore(t *testing.T) {
	databases := newDatabases(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, databases.take(t)) })
}

func TestTwoHosts(t *testing.T) {
	databases := newDatabases(t)
	storetest.RunTwice(t, func(t *testing.T) (store.Store, store.Store) {
		url := databases.take(t)
		return open(t, url), open(t, url)
	})
}

func Benchmark(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store { return open(b, storetest.PostgresURL(b)) })
}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	return openWith(t, url, postgres.Options{})
}

func openWith(t testing.TB, url string, options postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, options)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// databases lends empty databases to the tests of a suite one after the other:
// emptying one is much quicker than making one.
type databases struct {
	suite *testing.T // the databases live as long as it
	mu    sync.Mutex // guards free
	free  []string
}

func newDatabases(t *testing.T) *databases {
	storetest.PostgresServer(t)
	return &databases{suite: t}
}

// take returns the address of an empty database, until the test ends.
func (d *databases) take(t *testing.T) string {
	t.Helper()
	d.mu.Lock()
	var url string
	if n := len(d.free); n > 0 {
		url, d.free = d.free[n-1], d.free[:n-1]
	}
	d.mu.Unlock()
	if url == "" {
		url = storetest.PostgresURL(d.suite)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return // its state may be anything
		}
		empty(t, url)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.free = append(d.free, url)
	})
	return url
}

func empty(t *testing.T, url string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Errorf("connect to empty a database: %v", err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `
		DELETE FROM export_attempt; DELETE FROM erp_export; DELETE FROM draft_order; DELETE FROM erp_connection;
		DELETE FROM audit_log; DELETE FROM api_token; DELETE FROM organization; DELETE FROM host_node`)
	if err != nil {
		t.Errorf("empty a database: %v", err)
	}
}
