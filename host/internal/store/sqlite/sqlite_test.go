package sqlite_test

import (
	"testing"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	return openWith(t, path, sqlite.Options{})
}

func openWith(t testing.TB, path string, options sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, options)
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

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, storetest.SQLitePath(t)) })
}

func TestTwoProcesses(t *testing.T) {
	storetest.RunTwice(t, func(t *testing.T) (store.Store, store.Store) {
		path := storetest.SQLitePath(t)
		return open(t, path), open(t, path)
	})
}

func Benchmark(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store { return open(b, storetest.SQLitePath(b)) })
}
