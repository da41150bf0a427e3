package delivery_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
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

// BenchmarkLatency measures the time from accepted to delivered at 100 orders a
// second over one connection: by itself, and beside others that hang. The
// 99th percentile beside hanging ones must stay below twice that without.
func BenchmarkLatency(b *testing.B) {
	for name, hanging := range map[string]int{"alone": 0, "beside one that hangs": 1, "beside twenty that hang": 20} {
		b.Run(name, func(b *testing.B) {
			w, _ := onPostgres(b)
			latency(b, w, hanging)
		})
	}
}

func latency(b *testing.B, w *world, hanging int) {
	p := newERP()
	o := w.options(registry{erpType: p})
	o.Knobs.SweepEvery, o.Knobs.BeatEvery = time.Second, time.Second
	conn := w.connection()
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if start.GetConnection().GetId() != conn.ID.String() {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return p.honest(ctx, start, sink)
	}
	for range hanging {
		c := w.connection()
		must(b, w.store.SetHealth(context.Background(), c.ID, c.UpdatedAt, domain.Health{State: domain.Healthy}))
		w.accept(c, 200)
	}
	times := &stopwatch{}
	o.Observer = times
	e := w.run(o)
	eventually(b, "those that hang do", func() bool { return e.Stats().Running >= hanging })
	b.ResetTimer()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range b.N {
		<-tick.C
		times.begin()
		w.accept(conn, 1)
		e.Nudge(conn.ID)
	}
	all := times.wait(b.N)
	slices.Sort(all)
	b.ReportMetric(all[len(all)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
}

// stopwatch is an Observer that measures deliveries that come in order.
type stopwatch struct {
	countdown
	mu    sync.Mutex
	begun []time.Time
	took  []time.Duration
}

func (s *stopwatch) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = append(s.begun, time.Now())
}

func (s *stopwatch) AttemptEnded(_ string, outcome domain.Outcome, _ port.Code, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.took); outcome == domain.OutcomeDelivered && n < len(s.begun) {
		s.took = append(s.took, time.Since(s.begun[n]))
	}
}

func (s *stopwatch) wait(n int) []time.Duration {
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		s.mu.Lock()
		took := slices.Clone(s.took)
		s.mu.Unlock()
		if len(took) == n {
			tick.Stop()
			return took
		}
	}
}
