package draftorder_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// realOrders returns the recorded orders, one JSON document each. They lie
// beside the repository.
func realOrders(tb testing.TB) [][]byte {
	tb.Helper()
	path := os.Getenv("ORDERPORT_TEST_ORDERS")
	if path == "" {
		path = findUpwards(tb, filepath.Join("shared", "data", "northwind-orders.ndjson"))
	}
	if path == "" {
		tb.Skip("no recorded orders: set ORDERPORT_TEST_ORDERS to an NDJSON file of draft orders")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

func findUpwards(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
