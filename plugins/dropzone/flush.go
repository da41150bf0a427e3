package main

import (
	"context"
	"errors"
	"sync"
	"syscall"

	"github.com/orderport/orderport/sdk/hands"
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

const (
	// flushers is how many goroutines at most flush the files of one directory.
	flushers = 4
	// filesAtOnce is how many files at most one of them takes at a time.
	filesAtOnce = 64
)

// fileFlush flushes the files of one directory, each of them by itself, but a
// few threads for all: whoever comes while those are busy is taken with all the
// others that wait. The system is told to write all of their contents before it
// is asked for the first one, so that what they have in common, such as the
// block of inodes, is written once.
type fileFlush struct {
	mu      sync.Mutex
	waiting []openFile // guarded by mu
	running int        // guarded by mu: goroutines that flush
}

type openFile struct {
	fd   int
	done chan error // buffered
}

// Flush returns once the file's content is durable. The caller keeps it open.
func (f *fileFlush) Flush(fd int) error {
	file := openFile{fd: fd, done: make(chan error, 1)}
	f.mu.Lock()
	f.waiting = append(f.waiting, file)
	if f.running < flushers {
		f.running++
		go f.run()
	}
	f.mu.Unlock()
	return <-file.done
}

// run flushes for as long as somebody waits.
func (f *fileFlush) run() {
	for files := f.take(); len(files) > 0; files = f.take() {
		begun := make([]error, len(files))
		if len(files) > 1 {
			for i, file := range files {
				begun[i] = startWriting(file.fd)
			}
		}
		for i, file := range files {
			file.done <- errors.Join(begun[i], uninterrupted(func() error { return syscall.Fsync(file.fd) }))
		}
	}
}

// take returns the files that wait; none: the goroutine is to end.
func (f *fileFlush) take() []openFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.waiting), filesAtOnce)
	files := f.waiting[:n:n]
	f.waiting = f.waiting[n:]
	if n == 0 {
		f.running--
		f.waiting = nil
	}
	return files
}

// flushes holds the directories that calls are under way in, and the hands for
// calls of the file system. The zero value is ready.
type flushes struct {
	hands hands.Pool

	mu      sync.Mutex
	entries map[string]*directoryEntry // guarded by mu
}

type directoryEntry struct {
	sharedFlush
	files  fileFlush
	change sync.Mutex
	users  int // guarded by flushes.mu
}

// File makes an open file's content durable; key names its directory.
func (f *flushes) File(key string, fd int) error {
	entry := f.hold(key)
	defer f.release(key, entry)
	return entry.files.Flush(fd)
}

// Wait flushes the directory that key names, together with whoever else waits
// for it.
func (f *flushes) Wait(ctx context.Context, key string, flush func() error) error {
	entry := f.hold(key)
	defer f.release(key, entry)
	return entry.sharedFlush.Wait(ctx, flush)
}

// Change runs a call that makes or renames a file in the directory that key
// names. The system lets one at a time do that, and those that wait for it spin
// meanwhile: among 64 that cost twice the processor time of the call.
func (f *flushes) Change(key string, call func() error) error {
	entry := f.hold(key)
	defer f.release(key, entry)
	entry.change.Lock()
	defer entry.change.Unlock()
	return call()
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
