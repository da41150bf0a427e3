package main

import (
	"context"
	"slices"
	"sync"
	"time"

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
	// filesAtOnce is how many files at most are begun together.
	filesAtOnce = 64
	// patience is how long a file waits for its turn. Where flushes take as long,
	// such as on a slow share or a disk that hangs, they go side by side.
	patience = 100 * time.Millisecond
)

// fileFlush flushes the files of one directory, each of them by itself, but a
// few threads for all: whoever comes while those are busy is taken with all the
// others that wait. The system is told to write all of their contents before it
// is asked for the first one, so that what they have in common, such as the
// block of inodes, is written once.
type fileFlush struct {
	mu      sync.Mutex
	waiting []*unflushed // guarded by mu
	begun   []*unflushed // guarded by mu: wait for their flush alone
	running int          // guarded by mu: goroutines that flush
}

// openFile is a file whose content is to become durable.
type openFile interface {
	begin() error // has the system begin to write the content
	flush() error // returns once the content is durable
}

type unflushed struct {
	openFile

	begun error      // what begin said
	done  chan error // buffered
}

// Flush returns once the file's content is durable. The caller keeps it open.
func (f *fileFlush) Flush(open openFile) error {
	file := &unflushed{openFile: open, done: make(chan error, 1)}
	f.enqueue(file)
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case err := <-file.done:
			return err
		case <-tick.C:
			if f.withdraw(file) {
				return file.finish()
			}
		}
	}
}

func (f *fileFlush) enqueue(file *unflushed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, file)
	f.start(1)
}

// withdraw takes a file back, unless one of the goroutines has it in hand.
func (f *fileFlush) withdraw(file *unflushed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range []*[]*unflushed{&f.waiting, &f.begun} {
		if i := slices.Index(*list, file); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
			return true
		}
	}
	return false
}

// start has goroutines flush that many files. The caller holds mu.
func (f *fileFlush) start(files int) {
	for range min(files, flushers-f.running) {
		f.running++
		go f.run()
	}
}

// run flushes for as long as somebody waits.
func (f *fileFlush) run() {
	for file := f.next(); file != nil; file = f.next() {
		file.done <- file.finish()
	}
}

// finish flushes a file that has been begun, or is alone.
func (u *unflushed) finish() error {
	err := u.flush()
	if u.begun != nil {
		return u.begun // which the flush may not repeat
	}
	return err
}

// next returns a file to flush; none: the goroutine is to end. Files are taken
// one at a time, so one that hangs holds up none that were begun with it.
func (f *fileFlush) next() *unflushed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.begun) == 0 && len(f.waiting) > 0 {
		files := f.waiting[:min(len(f.waiting), filesAtOnce)]
		f.waiting = f.waiting[len(files):]
		if len(files) > 1 {
			f.mu.Unlock()
			for _, file := range files {
				file.begun = file.begin()
			}
			f.mu.Lock()
		}
		f.begun = append(f.begun, files...)
		f.start(len(files) - 1)
	}
	if len(f.begun) == 0 {
		f.running--
		f.begun, f.waiting = nil, nil
		return nil
	}
	file := f.begun[0]
	f.begun = f.begun[1:]
	return file
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
func (f *flushes) File(key string, file openFile) error {
	entry := f.hold(key)
	defer f.release(key, entry)
	return entry.files.Flush(file)
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
