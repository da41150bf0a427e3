package pluginhost_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

type nullSink struct{}

func (nullSink) StorePayload(_ context.Context, name string, data []byte) (*connectorv1.PayloadStored, error) {
	return &connectorv1.PayloadStored{StorageKey: name, Size: uint64(len(data)), Sha256: make([]byte, 32)}, nil
}
func (nullSink) SaveCheckpoint(context.Context, []byte, string) error { return nil }
func (nullSink) Progress(string)                                      {}

// BenchmarkExport runs exports of small orders through one connector, 32 at a
// time: payload of 1.2 KB, one checkpoint, result.
func BenchmarkExport(b *testing.B) {
	for _, c := range []struct{ name, act string }{{"payload and checkpoint", "deliver"}, {"result only", ""}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			install(b, w.dir, "noop", behavior{})
			w.start()
			p := w.port("NOOP")
			order := benchOrder(c.act)
			var failed atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(16)
			b.ResetTimer()
			begin := time.Now()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if !exportOne(p, order) {
						failed.Add(1)
					}
				}
			})
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "exports/s")
			if failed.Load() > 0 {
				b.Fatalf("%d exports failed", failed.Load())
			}
		})
	}
}

func exportOne(p connector.Port, order *connectorv1.ExportStart) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := p.Export(ctx, order, nullSink{})
	return err == nil && r.GetSuccess()
}

func benchOrder(act string) *connectorv1.ExportStart {
	s := startOf(act)
	price, text := "1.23", "Kabel NYM-J 3x1,5"
	s.DraftOrder = &connectorv1.DraftOrder{
		Id: "32c282e3-b563-56da-bf52-0f4bd7ffe80d", Status: "APPROVED", ApprovedAt: "2025-12-26T10:00:00Z",
		Customer: &connectorv1.Customer{Name: "Muster GmbH"}, Currency: "EUR", Notes: &act,
	}
	for n := range uint32(3) {
		s.DraftOrder.Lines = append(s.DraftOrder.Lines, &connectorv1.OrderLine{
			LineNo: n + 1, InternalSku: "INT-999", Qty: "10.5", Uom: "M", UnitPrice: &price, Description: &text,
		})
	}
	return s
}
