package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/orderport/orderport/host/internal/store/storetest"
)

// TestTheJobQueueGetsItsTurnBesideACrowd: the queue asks for the writer
// directly, and its leader gives up after five seconds.
func TestTheJobQueueGetsItsTurnBesideACrowd(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), storetest.SQLitePath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, stop := context.WithCancel(t.Context())
	var begun atomic.Int64
	var last *sql.Tx // of the one goroutine that writes
	var crowd sync.WaitGroup
	for range 50 {
		crowd.Go(func() {
			for ctx.Err() == nil {
				_ = s.inTx(ctx, "nothing", func(_ context.Context, tx *sql.Tx) error {
					if tx != last {
						last = tx
						begun.Add(1)
					}
					return nil
				})
			}
		})
	}
	const turns, atMost = 51, 15
	var waited []int64
	for range turns {
		before := begun.Load()
		conn, err := s.WriteDB().Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		waited = append(waited, begun.Load()-before)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	crowd.Wait()
	// Not each: this goroutine, too, may be held up before it asks.
	slices.Sort(waited)
	if median := waited[turns/2]; median > atMost {
		t.Errorf("in the median %d transactions went first, at most %d are fine", median, atMost)
	}
}
