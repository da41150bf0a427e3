package sdk

import "sync"

// maxIdleHands is how many goroutines wait for work after a burst.
const maxIdleHands = 256

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
	for {
		job()
		h.mu.Lock()
		if len(h.idle) >= maxIdleHands {
			h.mu.Unlock()
			return
		}
		h.idle = append(h.idle, jobs)
		h.mu.Unlock()
		job = <-jobs
	}
}
