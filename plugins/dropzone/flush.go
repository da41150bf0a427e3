package main

import (
	"context"
	"sync"
)

// sharedFlush lets concurrent callers share flushes of one directory. A flush
// covers what happened before it began, so a caller may join one that has not
// begun yet, and waits at most for the one under way and the next.
type sharedFlush struct {
	flush func() error

	mu      sync.Mutex
	next    *flushRound // guarded by mu; nil: nobody waits for another round
	running bool        // guarded by mu
}

type flushRound struct {
	done chan struct{}
	err  error // set before done is closed
}

// Wait returns once a flush that began after the call has ended.
func (s *sharedFlush) Wait(ctx context.Context) error {
	round := s.join()
	select {
	case <-round.done:
		return round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sharedFlush) join() *flushRound {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &flushRound{done: make(chan struct{})}
	}
	round := s.next
	if !s.running {
		s.running = true
		go s.run()
	}
	return round
}

// run flushes for as long as somebody waits for a round.
func (s *sharedFlush) run() {
	for {
		s.mu.Lock()
		round := s.next
		s.next = nil
		if round == nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		round.err = s.flush()
		close(round.done)
	}
}

// flushes holds the sharedFlush of each directory that is being flushed, and
// the hands for calls of the file system. The zero value is ready.
type flushes struct {
	hands hands

	mu      sync.Mutex
	entries map[string]*flushEntry // guarded by mu
}

type flushEntry struct {
	sharedFlush
	users int // guarded by flushes.mu
}

// Wait flushes the directory that key names, together with whoever else waits
// for it. An entry lives while it has callers.
func (f *flushes) Wait(ctx context.Context, key string, flush func() error) error {
	f.mu.Lock()
	entry := f.entries[key]
	if entry == nil {
		entry = &flushEntry{sharedFlush: sharedFlush{flush: flush}}
		if f.entries == nil {
			f.entries = make(map[string]*flushEntry)
		}
		f.entries[key] = entry
	}
	entry.users++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if entry.users--; entry.users == 0 {
			delete(f.entries, key)
		}
	}()
	return entry.Wait(ctx)
}
