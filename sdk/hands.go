package sdk

import (
	"slices"
	"sync"
	"time"
)

const (
	maxIdleHands = 256              // how many goroutines wait for more work,
	handsRest    = 10 * time.Second // and how long
)

// hands are goroutines that run the connector's code, one call after the
// other: what a new goroutine costs is mostly the growth of its stack. A call
// never waits for a hand: if none is idle there is a new one. The zero value is
// ready.
type hands struct {
	mu   sync.Mutex
	idle []chan func() // guarded by mu: each of a goroutine that waits
}

// do has job run at once, by another goroutine.
func (h *hands) do(job func()) {
	h.mu.Lock()
	last := len(h.idle) - 1
	if last < 0 {
		h.mu.Unlock()
		go h.work(job)
		return
	}
	hand := h.idle[last]
	h.idle = h.idle[:last]
	h.mu.Unlock()
	hand <- job
}

// work ends with a job that ends its goroutine.
func (h *hands) work(job func()) {
	jobs := make(chan func(), 1)
	rest := time.NewTimer(handsRest)
	defer rest.Stop()
	for {
		job()
		if !h.offer(jobs) {
			return
		}
		rest.Reset(handsRest)
		select {
		case job = <-jobs:
			continue
		case <-rest.C:
		}
		if h.withdraw(jobs) {
			return
		}
		job = <-jobs
	}
}

func (h *hands) offer(jobs chan func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) >= maxIdleHands {
		return false
	}
	h.idle = append(h.idle, jobs)
	return true
}

// withdraw says no if a job is on its way.
func (h *hands) withdraw(jobs chan func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.Index(h.idle, jobs)
	if at < 0 {
		return false
	}
	h.idle = slices.Delete(h.idle, at, at+1)
	return true
}
