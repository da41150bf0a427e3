package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
)

// submitter hands in orders at a steady rate. It repeats each order until the
// API has answered with 2xx, as an application with a queue of its own would,
// so a lost answer is followed by the same order again.
type submitter struct {
	clients []*world.Client
	orders  *world.Orders
	rate    int

	mu       sync.Mutex
	accepted map[string]string // draft order id → export id
	repeats  atomic.Int64      // calls that had to be made again
	refused  []string          // answers that are neither success nor "again"
}

func (s *submitter) run(ctx context.Context) {
	var inFlight sync.WaitGroup
	slots := make(chan struct{}, 64)
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			inFlight.Wait()
			return
		case <-tick.C:
		}
		slots <- struct{}{}
		id, order := s.orders.Next()
		inFlight.Go(func() {
			defer func() { <-slots }()
			s.submit(n, id, order)
		})
	}
}

// submit does not end with the run: an order that was sent once must be known
// to be accepted, or we could not reconcile it.
func (s *submitter) submit(n int, id string, order json.RawMessage) {
	deadline := time.Now().Add(3 * time.Minute)
	for try := 0; time.Now().Before(deadline); try++ {
		client := s.clients[(n+try)%len(s.clients)]
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		export, err := client.Push(ctx, order)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.accepted[id] = export.ID
			s.mu.Unlock()
			return
		}
		var status *world.StatusError
		if errors.As(err, &status) && status.Status < http.StatusInternalServerError {
			s.refuse(id + ": " + err.Error())
			return
		}
		s.repeats.Add(1)
		time.Sleep(50 * time.Millisecond)
	}
	s.refuse(id + ": not accepted within 3 minutes")
}

func (s *submitter) refuse(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, what)
}
