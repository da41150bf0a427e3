package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/orderport/orderport/sdk/hands"
)

const (
	// flushers is how many files of a round at most are flushed at one time. The
	// kernel makes one flush of the disk out of those that come together.
	flushers = 16
	// patience is how long a round waits for its files. Where flushes take as
	// long, such as on a slow share or a disk that hangs, they go side by side.
	patience = 100 * time.Millisecond
)

// rounds shares what changes of a directory cost among those who want some at
// one time. All that wait are one round: one change after the other, then the
// contents of new files are flushed, each by itself, then the directory, once.
// Who comes meanwhile makes up the next round, so a round is as large as the
// load asks for, and nobody waits on purpose.
//
// One goroutine makes the changes of a directory because the kernel lets one at
// a time make or rename a file in it, and those that wait for that spin.
// Changes come before flushes since files that lie side by side share blocks,
// those of the inodes and of the directory, which are then written once.
//
// The zero value is ready.
type rounds struct {
	hands hands.Pool
	// flushDir replaces the flush of a directory in tests.
	flushDir func(dir string) error

	mu      sync.Mutex
	waiting map[string][]*change // guarded by mu: by directory; each has a goroutine that runs its rounds
}

// change is something that an export wants in a directory.
type change struct {
	ctx context.Context
	// do makes the change, and returns the file whose content is to be flushed,
	// if there is one.
	do func() (openFile, error)
	// undo takes back what do has made, where it does not become durable or nobody
	// waits for it any more. It may be nil.
	undo func()

	file  openFile
	begun error      // what begin said of the file
	done  chan error // buffered
}

// openFile is a new file.
type openFile interface {
	begin() error // has the system begin to write the content
	flush() error // returns once the content is durable, and closes the file
}

// errUnflushed says that a change was made, but may not survive a power cut.
var errUnflushed = errors.New("the directory could not be flushed")

// begin has the change made in the next round of its directory.
func (r *rounds) begin(dir string, c *change) {
	c.done = make(chan error, 1)
	r.enqueue(dir, c)
}

func (r *rounds) enqueue(dir string, c *change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[string][]*change)
	}
	running, ok := r.waiting[dir]
	r.waiting[dir] = append(running, c)
	if !ok {
		r.hands.Do(func() { r.run(dir) })
	}
}

// wait returns once the change is durable, or when its context ends: then it may
// still be made.
func (c *change) wait() error {
	select {
	case err := <-c.done:
		return err
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// change makes a change that makes no file, and waits for it.
func (r *rounds) change(ctx context.Context, dir string, do func() error) error {
	c := &change{ctx: ctx, do: func() (openFile, error) { return nil, do() }}
	r.begin(dir, c)
	return c.wait()
}

// run does rounds for as long as somebody waits.
func (r *rounds) run(dir string) {
	for changes := r.take(dir); changes != nil; changes = r.take(dir) {
		r.round(dir, changes)
	}
}

func (r *rounds) take(dir string) []*change {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := r.waiting[dir]
	if changes == nil {
		delete(r.waiting, dir)
		return nil
	}
	r.waiting[dir] = nil
	return changes
}

func (r *rounds) round(dir string, changes []*change) {
	made, files := makeAll(changes)
	made = append(made, r.flushFiles(dir, files)...)
	if len(made) == 0 {
		return
	}
	err := r.flushDirectory(dir)
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnflushed, err)
	}
	for _, c := range made {
		c.end(err)
	}
}

// makeAll makes the changes. It returns those that are made, and those whose
// file is to be flushed before.
func makeAll(changes []*change) (made, files []*change) {
	for _, c := range changes {
		switch {
		case c.file != nil: // made and flushed in an earlier round, but late for its end
			made = append(made, c)
			continue
		case c.ctx.Err() != nil:
			c.done <- c.ctx.Err()
			continue
		}
		file, err := c.do()
		switch {
		case err != nil:
			c.done <- err
		case file == nil:
			made = append(made, c)
		default:
			c.file = file
			files = append(files, c)
		}
	}
	if len(files) > 1 {
		for _, c := range files {
			c.begun = c.file.begin()
		}
	}
	return made, files
}

// end tells how the change ended.
func (c *change) end(err error) {
	if err == nil {
		err = c.ctx.Err()
	}
	if err != nil && c.undo != nil {
		c.undo()
	}
	c.done <- err
}

// flushFiles flushes the contents and returns the changes for which that worked.
// It does not wait for long: a file that is late is in a later round.
func (r *rounds) flushFiles(dir string, files []*change) []*change {
	if len(files) == 0 {
		return nil
	}
	f := &filesOfRound{rounds: r, dir: dir, files: files, left: len(files), all: make(chan struct{})}
	f.start(min(len(files), flushers))
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-f.all:
	case <-late.C:
		f.start(len(files) - min(len(files), int(f.next.Load()))) // side by side
	}
	return f.close()
}

// filesOfRound are flushed by several goroutines, which take them one at a time,
// so one that hangs holds up none of the others.
type filesOfRound struct {
	rounds *rounds
	dir    string
	files  []*change
	next   atomic.Int64  // index of the next one to flush
	all    chan struct{} // closed when none is left

	mu      sync.Mutex
	flushed []*change // guarded by mu
	left    int       // guarded by mu: files whose flush has not ended
	over    bool      // guarded by mu: the round goes on without those
}

func (f *filesOfRound) start(goroutines int) {
	for range goroutines {
		f.rounds.hands.Do(f.run)
	}
}

func (f *filesOfRound) run() {
	for i := int(f.next.Add(1)) - 1; i < len(f.files); i = int(f.next.Add(1)) - 1 {
		c := f.files[i]
		err := c.file.flush()
		if c.begun != nil {
			err = c.begun // which the flush may not repeat
		}
		if err != nil {
			c.end(err)
		}
		if f.ended(c, err == nil) {
			f.rounds.enqueue(f.dir, c)
		}
	}
}

// ended notes that a file's flush has ended, and says whether it is late but
// durable.
func (f *filesOfRound) ended(c *change, durable bool) (late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return durable
	}
	if durable {
		f.flushed = append(f.flushed, c)
	}
	if f.left--; f.left == 0 {
		close(f.all)
	}
	return false
}

// close returns what has been flushed in time.
func (f *filesOfRound) close() []*change {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	return f.flushed
}

func (r *rounds) flushDirectory(dir string) error {
	if r.flushDir != nil {
		return r.flushDir(dir)
	}
	return flushDirectory(dir)
}

// flushDirectory makes durable which names are in a directory.
func flushDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return local(err)
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // a file system that does not flush directories
	}
	return local(err)
}
