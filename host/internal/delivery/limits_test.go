package delivery_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
)

// begins notes when attempts begin.
type begins struct {
	mu  sync.Mutex
	all []time.Time
}

func (b *begins) note() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, time.Now())
	return len(b.all)
}

// between is how many began in a stretch of time.
func (b *begins) between(from, to time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, at := range b.all {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

func (b *begins) span() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.MaxFunc(b.all, time.Time.Compare).Sub(slices.MinFunc(b.all, time.Time.Compare))
}

func TestAThrottledConnectionRestsAsLongAsItsERPAsks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		const pause = 1500 * time.Millisecond
		p, seen := newERP(), &begins{}
		throttled := make(chan time.Time, 1)
		p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
			if seen.note() > 1 {
				return p.honest(ctx, start, sink)
			}
			throttled <- time.Now()
			busy := failure(connectorv1.ErrorCode_ERROR_CODE_THROTTLED, true, "busy")
			busy.RetryAfter = durationpb.New(pause)
			return &connectorv1.ExportResult{Error: busy}, nil
		}
		exports := w.accept(w.connection(), 20)
		w.run(w.options(registry{erpType: p}))
		for _, got := range w.await(domain.Sent, exports...) {
			if got.FailureCount != 0 {
				t.Errorf("it counted as %d failures", got.FailureCount)
			}
		}
		from := <-throttled
		if n := seen.between(from.Add(time.Millisecond), from.Add(pause)); n != 0 {
			t.Errorf("%d attempts began while the ERP wanted to be left alone", n)
		}
	})
}

func TestAChangeOfTheConnectionEndsItsRest(t *testing.T) {
	t.Parallel()
	w, _ := onPostgres(t)
	p, seen := newERP(), &begins{}
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		if seen.note() > 1 {
			return p.honest(ctx, start, sink)
		}
		busy := failure(connectorv1.ErrorCode_ERROR_CODE_THROTTLED, true, "busy")
		busy.RetryAfter = durationpb.New(time.Hour)
		return &connectorv1.ExportResult{Error: busy}, nil
	}
	conn := w.connection()
	exports := w.accept(conn, 3)
	w.run(w.options(registry{erpType: p}))
	eventually(t, "the first one is deferred", func() bool {
		return slices.ContainsFunc(exports, func(e domain.Export) bool { return w.outcomes(e) == "DEFERRED" })
	})
	w.sweepsPass(4)
	if n := w.attemptsInAll(exports); n != 1 {
		t.Fatalf("%d attempts while the ERP wanted to be left alone", n)
	}
	sealed := conn.Sealed
	sealed.Blob = append([]byte{1}, sealed.Blob...)
	_, err := w.store.UpdateConfig(t.Context(), conn.OrgID, conn.ID, sealed, w.audit("connection.update"))
	must(t, err)
	eventually(t, "the others are delivered", func() bool {
		sent := 0
		for _, e := range exports {
			if w.get(e).Status == domain.Sent {
				sent++
			}
		}
		return sent == 2
	})
}

// limited runs hosts over one connection whose config has a limit, until so
// many orders are delivered, each of which takes a while.
func limited(t *testing.T, hosts, orders int, config string) (*erp, *begins) {
	t.Helper()
	w, open := onPostgres(t)
	p, seen := newERP(), &begins{}
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		seen.note()
		<-time.After(5 * time.Millisecond) // the ERP works
		return p.honest(ctx, start, sink)
	}
	for range hosts {
		o := w.options(registry{erpType: p})
		o.Store = sweptStore{open(), &w.sweeps}
		o.OpenConfig = func(domain.Connection) ([]byte, error) { return []byte(config), nil }
		w.run(o)
	}
	// Each host counts the others whenever it has waited for DeadAfter.
	w.sweepsPass(int32(2 * int(quick().DeadAfter/quick().SweepEvery) * hosts))
	exports := w.accept(w.connection(), orders)
	w.await(domain.Sent, exports...)
	p.verify(t, 1, ids(exports)...)
	return p, seen
}

func TestAConfigBoundsHowManyExportsRunAtOneTime(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string]int{"on one host": 1, "on two hosts together": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := limited(t, hosts, 60, `{"max_in_flight": 2}`)
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.peak > 2 {
				t.Errorf("%d exports ran at once, the config allows 2", p.peak)
			}
		})
	}
}

func TestAConfigBoundsHowManyExportsBeginInAMinute(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string]int{"on one host": 1, "on two hosts together": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, seen := limited(t, hosts, 50, `{"max_per_minute": 1200}`)
			// 20 a second, and a quarter of a second's at once on each host.
			if took := seen.span(); took < 2*time.Second {
				t.Errorf("50 exports began within %v, the config allows 20 a second", took)
			}
		})
	}
}
