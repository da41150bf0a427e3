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
	restTime = 10 * time.Second // and how long
)

// Pool is goroutines that run one job after the other. Where jobs call deep,
// into a file system or gRPC, what a new goroutine costs is mostly the growth of
// its stack. A job never waits for a goroutine: if none is idle there is a new
// one. Idle ones end after ten seconds. The zero value is ready; a Pool must not
// be copied.
type Pool struct {
	mu   sync.Mutex
	idle []chan func() // guarded by mu: each of a goroutine that waits
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
	p.mu.Unlock()
	hand <- job
}

func (p *Pool) work(job func()) {
	jobs := make(chan func(), 1)
	rest := time.NewTimer(restTime)
	defer rest.Stop()
	for {
		job()
		if !p.offer(jobs) {
			return
		}
		rest.Reset(restTime)
		select {
		case job = <-jobs:
			continue
		case <-rest.C:
		}
		if p.withdraw(jobs) {
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
	return true
}

// withdraw says no if a job is on its way.
func (p *Pool) withdraw(jobs chan func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.idle, jobs)
	if at < 0 {
		return false
	}
	p.idle = slices.Delete(p.idle, at, at+1)
	return true
}
