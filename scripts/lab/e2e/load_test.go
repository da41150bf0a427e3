package e2e

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// load hands in orders one by one, over all clients in turn, until it is
// stopped. It hands an order in again until it is accepted, so that whatever
// it has begun can be accounted for.
type load struct {
	t       *testing.T
	clients []*world.Client
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	orders []handedIn
}

// handedIn is an order, and when it was handed in first.
type handedIn struct {
	id    string
	first time.Time
}

// startLoad hands in an order at each tick.
func startLoad(t *testing.T, orders *world.Orders, every time.Duration, clients ...*world.Client) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, clients: clients, stop: cancel, done: make(chan struct{})}
	go l.run(ctx, orders, every)
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) run(ctx context.Context, orders *world.Orders, every time.Duration) {
	defer close(l.done)
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	slots := make(chan struct{}, 32)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		id, order := orders.Next()
		inFlight.Go(func() {
			defer func() { <-slots }()
			l.push(n, id, order)
		})
	}
}

func (l *load) push(n int, id string, order []byte) {
	first, deadline := time.Now(), time.Now().Add(aLong)
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := l.clients[(n+try)%len(l.clients)].Push(ctx, order)
		cancel()
		if err == nil {
			l.mu.Lock()
			l.orders = append(l.orders, handedIn{id, first})
			l.mu.Unlock()
			return
		}
		var status *world.StatusError
		if errors.As(err, &status) && status.Status < http.StatusInternalServerError || time.Now().After(deadline) {
			l.t.Errorf("order %s: %v", id, err)
			return
		}
		<-time.After(20 * time.Millisecond) // an application, too, waits before it tries again
	}
}

// end stops the load and returns the ids of all orders.
func (l *load) end() []string {
	l.stop()
	<-l.done
	return l.ids(func(handedIn) bool { return true })
}

// count returns how many orders have been accepted.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.orders)
}

// after waits until n more orders have been accepted.
func (l *load) after(ctx context.Context, n int) {
	l.t.Helper()
	want := l.count() + n
	eventually(ctx, l.t, "load", func() error {
		if l.count() < want {
			return errors.New("too few orders have been accepted")
		}
		return nil
	})
}

func (l *load) ids(which func(handedIn) bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, o := range l.orders {
		if which(o) {
			ids = append(ids, o.id)
		}
	}
	return ids
}
