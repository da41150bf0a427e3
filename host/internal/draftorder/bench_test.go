package draftorder_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/orderport/orderport/host/internal/draftorder"
)

func BenchmarkParse(b *testing.B) {
	orders := realOrders(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := draftorder.Parse(orders[i%len(orders)]); err != nil {
			b.Fatal(err)
		}
	}
	reportOrders(b)
}

// BenchmarkParseAndCanonical is what accepting an order costs.
func BenchmarkParseAndCanonical(b *testing.B) {
	orders := realOrders(b)
	for i := 0; b.Loop(); i++ {
		o, err := draftorder.Parse(orders[i%len(orders)])
		if err != nil {
			b.Fatal(err)
		}
		o.SHA256()
	}
	reportOrders(b)
}

// BenchmarkDecodeCanonical is what an attempt costs.
func BenchmarkDecodeCanonical(b *testing.B) {
	var orders [][]byte
	for _, data := range realOrders(b) {
		o, err := draftorder.Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		orders = append(orders, o.Canonical())
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := draftorder.DecodeCanonical(orders[i%len(orders)]); err != nil {
			b.Fatal(err)
		}
	}
	reportOrders(b)
}

// BenchmarkEncodingJSON reads the same orders with encoding/json into a tree,
// without any check, for comparison.
func BenchmarkEncodingJSON(b *testing.B) {
	orders := realOrders(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		decoder := json.NewDecoder(bytes.NewReader(orders[i%len(orders)]))
		decoder.UseNumber()
		var tree any
		if err := decoder.Decode(&tree); err != nil {
			b.Fatal(err)
		}
	}
	reportOrders(b)
}

func reportOrders(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}
