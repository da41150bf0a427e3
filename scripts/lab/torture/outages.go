package main

import (
	"context"
	"sync"
	"time"
)

// outages remembers when the connection was down, as its health says. Then
// exports wait for a probe, whatever has become of their host.
type outages struct {
	mu    sync.Mutex
	spans []span
	down  bool
}

type span struct{ from, to time.Time }

// watch reads the connection's health until ctx is done.
func (s *scene) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, h := range s.hosts {
			ask, cancel := context.WithTimeout(ctx, time.Second)
			c, err := h.host.Client().Connection(ask, s.connection)
			cancel()
			if err == nil {
				s.outages.see(c.Health.State == "DOWN", time.Now())
				break
			}
		}
		s.sleep(ctx, 100*time.Millisecond)
	}
}

// see takes what the health is now. What it was while nobody answered is what
// it was before, if it is so again.
func (o *outages) see(down bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if down && !o.down {
		o.spans = append(o.spans, span{now, now})
	}
	if o.down {
		o.spans[len(o.spans)-1].to = now
	}
	o.down = down
}

// within returns how much of a span the connection was down.
func (o *outages) within(s span) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	var sum time.Duration
	for _, down := range o.spans {
		from, to := down.from, down.to
		if from.Before(s.from) {
			from = s.from
		}
		if to.After(s.to) {
			to = s.to
		}
		sum += max(0, to.Sub(from))
	}
	return sum
}
