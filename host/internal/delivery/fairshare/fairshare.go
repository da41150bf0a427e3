// Package fairshare divides a number of slots among those who want some, so
// that none of them can hold all, however long it keeps what it has.
//
// Three rules. Nobody takes more than three quarters of what the others leave,
// so something stays free for the next one. While somebody waits, nobody takes
// more than capacity divided by the number of the busy. And each may have a
// small reserve beyond the capacity, so that those who hang can't starve those
// who come.
package fairshare

import (
	"cmp"
	"slices"
	"sync"
)

// Pool is a number of slots. It is safe for concurrent use.
type Pool struct {
	capacity int
	reserve  int

	mu     sync.Mutex
	held   int                 // guarded by mu: by all shares
	shares map[*Share]struct{} // guarded by mu: those that hold or wait
}

// Share is one taker's part of a pool.
type Share struct {
	pool    *Pool
	notify  func()
	held    int  // guarded by pool.mu
	waiting bool // guarded by pool.mu: it got less than it wanted
}

// New returns a pool of capacity slots. Each share may hold reserve slots even
// if the pool is exhausted; zero makes capacity a hard bound.
func New(capacity, reserve int) *Pool {
	return &Pool{capacity: capacity, reserve: reserve, shares: make(map[*Share]struct{})}
}

// Join returns a share that holds nothing. notify is called, from any
// goroutine and without locks, when a Take that got too little should be
// repeated.
func (p *Pool) Join(notify func()) *Share { return &Share{pool: p, notify: notify} }

// Held returns how many slots are taken.
func (p *Pool) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Take takes up to want slots and returns how many. If it got fewer, the share
// is in line for more until its next Take or Quit.
func (s *Share) Take(want int) int {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s.waiting = false
	p.shares[s] = struct{}{}
	n := max(0, min(want, p.room(s)))
	if lacking := min(p.reserve-s.held, want); n < lacking {
		n = lacking
	}
	s.held += n
	p.held += n
	s.waiting = n < want
	p.forgetIfIdle(s)
	return n
}

// room is how many more slots s may hold. Called with p.mu held.
func (p *Pool) room(s *Share) int {
	others := p.held - s.held
	room := max(1, (p.capacity-others)*3/4) - s.held
	if p.othersWait(s) {
		room = min(room, p.fairShare()-s.held)
	}
	return min(room, p.capacity-p.held)
}

func (p *Pool) othersWait(s *Share) bool {
	for other := range p.shares {
		if other != s && other.waiting {
			return true
		}
	}
	return false
}

func (p *Pool) fairShare() int {
	return max(1, p.capacity/max(1, len(p.shares)))
}

// Give returns n slots and tells those in line, the poorest first.
func (s *Share) Give(n int) {
	if n == 0 {
		return
	}
	p := s.pool
	p.mu.Lock()
	s.held -= n
	p.held -= n
	p.forgetIfIdle(s)
	next := p.inLine(n)
	p.mu.Unlock()
	for _, share := range next {
		share.notify()
	}
}

// Quit leaves the line, if the share is in it, and lets the next one try.
func (s *Share) Quit() {
	p := s.pool
	p.mu.Lock()
	wasWaiting := s.waiting
	s.waiting = false
	p.forgetIfIdle(s)
	var next []*Share
	if wasWaiting {
		next = p.inLine(1)
	}
	p.mu.Unlock()
	for _, share := range next {
		share.notify()
	}
}

// inLine returns up to n of those that wait, the poorest first. Called with
// p.mu held.
func (p *Pool) inLine(n int) []*Share {
	var line []*Share
	for share := range p.shares {
		if share.waiting {
			line = append(line, share)
		}
	}
	if len(line) > 1 {
		slices.SortFunc(line, func(a, b *Share) int { return cmp.Compare(a.held, b.held) })
	}
	return line[:min(n, len(line))]
}

func (p *Pool) forgetIfIdle(s *Share) {
	if s.held == 0 && !s.waiting {
		delete(p.shares, s)
	}
}
