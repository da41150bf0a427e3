// Package hands keeps goroutines for work that comes thousands of times a
// second.
package hands

import (
	"slices"
	"sync"
	"time"
)

const (
	maxIdle  = 256              // how many goroutines wait for more work,
	restTime = 10 * time.Second // and how long at least
)

// Pool is goroutines that run one job after the other. Where jobs call deep,
// into a file system or gRPC, what a new goroutine costs is mostly the growth of
// its stack. A job never waits for a goroutine: if none is idle there is a new
// one. Those that have been idle for ten to twenty seconds end. The zero value is
// ready; a Pool must not be copied.
type Pool struct {
	mu      sync.Mutex
	idle    []chan func() // guarded by mu: each of a goroutine that waits, the last one the next to work
	unused  int           // guarded by mu: so many of the first have been idle since the last look
	looking bool          // guarded by mu: another look is planned
}

// Do has job run at once, by another goroutine. A job that ends its goroutine,
// as runtime.Goexit does, ends only that one.
func (p *Pool) Do(job func()) {
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		go p.work(job)
		return
	}
	hand := p.idle[last]
	p.idle = p.idle[:last]
	p.unused = min(p.unused, last)
	p.mu.Unlock()
	hand <- job
}

func (p *Pool) work(job func()) {
	jobs := make(chan func(), 1)
	for job != nil {
		job()
		if !p.offer(jobs) {
			return
		}
		job = <-jobs
	}
}

func (p *Pool) offer(jobs chan func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxIdle {
		return false
	}
	p.idle = append(p.idle, jobs)
	if !p.looking {
		p.lookLater()
	}
	return true
}

// lookLater starts counting who stays idle. The caller holds mu.
func (p *Pool) lookLater() {
	p.unused, p.looking = len(p.idle), true
	time.AfterFunc(restTime, p.look)
}

// look ends the goroutines that had nothing to do since the last one.
func (p *Pool) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, hand := range p.idle[:p.unused] {
		hand <- nil // which has room
	}
	p.idle = slices.Delete(p.idle, 0, p.unused)
	p.looking = false
	if len(p.idle) > 0 {
		p.lookLater()
	}
}
