package delivery_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/domain"
)

// BenchmarkEngine measures the engine with a connector in memory: what it costs
// to claim, checkpoint and finish an export, one at a time or many together.
// One iteration is one order, from being due to being SENT.
func BenchmarkEngine(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *world{
		"postgres": func(t testing.TB) *world { w, _ := onPostgres(t); return w },
		"sqlite":   func(t testing.TB) *world { return onSQLite(t) },
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
	all := &countdown{done: make(chan struct{})}
	all.left.Store(int64(b.N))
	o.Observer = all
	b.ResetTimer()
	e := w.run(o)
	e.Nudge(conn.ID)
	<-all.done
	b.StopTimer()
	b.Log(m)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// countdown is an Observer that waits for a number of deliveries.
type countdown struct {
	left atomic.Int64
	done chan struct{}
}

func (c *countdown) AttemptEnded(_ string, outcome domain.Outcome, _ port.Code, _ time.Duration) {
	if outcome == domain.OutcomeDelivered && c.left.Add(-1) == 0 {
		close(c.done)
	}
}

func (c *countdown) Superseded(string)                                  {}
func (c *countdown) CircuitMoved(string, domain.HealthState, port.Code) {}
func (c *countdown) TakenOver(int)                                      {}
func (c *countdown) AcksSettled(string, acks.Verdict, int)              {}
