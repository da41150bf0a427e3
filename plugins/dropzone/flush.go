package main

import (
	"context"
	"sync"
)

// sharedFlush lets concurrent callers share flushes of one directory. A flush
// covers what happened before it began, so a caller may join one that has not
// begun yet, and waits at most for the one under way and the next.
type sharedFlush struct {
	mu      sync.Mutex
	next    *flushRound // guarded by mu; nil: nobody waits for another round
	running bool        // guarded by mu
}

type flushRound struct {
	flush func() error
	done  chan struct{}
	err   error // set before done is closed
}

// Wait returns once a flush that began after the call has ended. All callers
// pass the same flush.
func (s *sharedFlush) Wait(ctx context.Context, flush func() error) error {
	round := s.join(flush)
	select {
	case <-round.done:
		return round.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sharedFlush) join(flush func() error) *flushRound {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &flushRound{flush: flush, done: make(chan struct{})}
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
		round.err = round.flush()
		close(round.done)
	}
}

// flushes holds the directories that flushes are under way in. The zero value is
// ready.
type flushes struct {
	mu      sync.Mutex
	entries map[string]*directoryEntry // guarded by mu
}

type directoryEntry struct {
	sharedFlush
	users int // guarded by flushes.mu
}

// Wait flushes the directory that key names, together with whoever else waits
// for it.
func (f *flushes) Wait(ctx context.Context, key string, flush func() error) error {
	entry := f.hold(key)
	defer f.release(key, entry)
	return entry.sharedFlush.Wait(ctx, flush)
}

// hold returns the entry of a directory, which lives while somebody holds it.
func (f *flushes) hold(key string) *directoryEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.entries[key]
	if entry == nil {
		entry = &directoryEntry{}
		if f.entries == nil {
			f.entries = make(map[string]*directoryEntry)
		}
		f.entries[key] = entry
	}
	entry.users++
	return entry
}

func (f *flushes) release(key string, entry *directoryEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entry.users--; entry.users == 0 {
		delete(f.entries, key)
	}
}
