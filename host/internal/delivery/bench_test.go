package delivery_test

import (
	"context"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
)

// BenchmarkEngine measures the engine with a connector in memory: what it costs
// to claim, checkpoint and finish an export, one at a time or many together.
// One iteration is one order, from being due to being SENT.
func BenchmarkEngine(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *world{
		"postgres": func(t testing.TB) *world { w, _ := onPostgres(t); return w },
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, open(b)) })
	}
}

func benchmark(b *testing.B, w *world) {
	p := newERP()
	o := w.options(registry{erpType: p})
	o.Knobs.SweepEvery, o.Knobs.BeatEvery = time.Second, time.Second
	o.Payloads = noPayloads{}
	conn := w.connection()
	for left := b.N; left > 0; left -= 1000 {
		w.accept(conn, min(left, 1000))
	}
	m := &meter{Store: w.store}
	o.Store = m
	b.ResetTimer()
	e := w.run(o)
	e.Nudge(conn.ID)
	for {
		counts, err := w.store.CountExports(context.Background())
		must(b, err)
		if counts[domain.Sent] == int64(b.N) {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.StopTimer()
	b.Log(m)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}
