package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/orderport/orderport/sdk/hands"
)

const (
	// flushers is how many files of a round at most are flushed at one time. 16 were
	// measured to be better than 4, and 32 no better.
	flushers = 16
	// patience is how long a round waits for its files. Where flushes take as
	// long, such as on a slow share or a disk that hangs, they go side by side.
	patience = 10 * time.Millisecond
	// takeBackTime is how long a caller whose context has ended still waits for
	// what was begun for it to be taken back. The SDK waits for twice as long.
	takeBackTime = 400 * time.Millisecond
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
	// flushDir flushes a directory; nil: one of this machine.
	flushDir func(dir string) error

	hands   hands.Pool
	mu      sync.Mutex
	waiting map[string][]*change // guarded by mu: by directory; each has a goroutine that runs its rounds
}

// change is something that an export wants in a directory.
type change struct {
	ctx context.Context
	// do makes the change. If that makes a file, it is returned, to be flushed.
	do func() (newFile, error)
	// undo takes back what do has made, where it does not become durable or nobody
	// waits for it any more. It may be nil.
	undo func()

	made    bool        // do has made something
	file    newFile     // until it is flushed
	started error       // what startWriting said of it
	late    bool        // its file took longer than its round, but is flushed
	settled atomic.Bool // whoever sets it decides how the change ends: its caller or its round
	done    chan error  // buffered
}

// newFile is a file that has been made and not been flushed.
type newFile interface {
	startWriting() error // has the system begin to write the content
	flush() error        // returns once the content is durable, and closes the file
}

// add has a change made in the next round of its directory. The caller has to
// wait for it.
func (r *rounds) add(dir string, c *change) {
	c.done = make(chan error, 1)
	r.enqueue(dir, c)
}

func (r *rounds) enqueue(dir string, c *change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[string][]*change)
	}
	waiting, running := r.waiting[dir]
	r.waiting[dir] = append(waiting, c)
	if !running {
		r.hands.Do(func() { r.run(dir) })
	}
}

// wait returns once the change is durable. When the context ends before, the
// change may still be made; if there is an undo, it is then taken back, usually
// before wait returns.
func (c *change) wait() error {
	select {
	case err := <-c.done:
		return err
	case <-c.ctx.Done():
	}
	if c.settled.CompareAndSwap(false, true) && c.undo == nil {
		return c.ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-time.After(takeBackTime):
		return c.ctx.Err()
	}
}

// change makes a change that makes no file, and waits for it.
func (r *rounds) change(ctx context.Context, dir string, do func() error) error {
	c := &change{ctx: ctx, do: func() (newFile, error) { return nil, do() }}
	r.add(dir, c)
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
	made, files := r.makeAll(changes)
	made = append(made, r.flushFiles(dir, files)...)
	if len(made) == 0 {
		return
	}
	err := r.flushDirectory(dir)
	if err != nil {
		err = &unflushedError{err}
	}
	for _, c := range made {
		r.settle(c, err)
	}
}

// makeAll makes the changes. Those with a file are made once that is flushed.
func (r *rounds) makeAll(changes []*change) (made, withFile []*change) {
	for _, c := range changes {
		if c.late {
			made = append(made, c)
			continue
		}
		err := c.ctx.Err()
		if err == nil {
			c.file, err = c.do()
		}
		c.do = nil // and what it holds
		c.made = err == nil
		switch {
		case err != nil:
			r.settle(c, err)
		case c.file == nil:
			made = append(made, c)
		default:
			withFile = append(withFile, c)
		}
	}
	if len(withFile) > 1 {
		for _, c := range withFile {
			c.started = c.file.startWriting()
		}
	}
	return made, withFile
}

// settle ends a change. What failed, and what nobody waits for any more, is
// taken back, at the expense of nobody else.
func (r *rounds) settle(c *change, err error) {
	if !c.settled.CompareAndSwap(false, true) {
		err = c.ctx.Err()
	}
	if err == nil || c.undo == nil || !c.made {
		c.done <- err
		return
	}
	r.hands.Do(func() {
		c.undo()
		c.done <- err
	})
}

// flushFiles flushes the contents and returns the changes for which that worked.
// It does not wait for long: a file that is late is in a later round.
func (r *rounds) flushFiles(dir string, changes []*change) (durable []*change) {
	if len(changes) == 0 {
		return nil
	}
	f := &flushing{rounds: r, dir: dir, all: make(chan struct{}), waiting: changes, left: len(changes)}
	f.start(flushers)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-f.all:
	case <-timeout.C:
		f.start(len(changes)) // side by side
	}
	return f.goOn()
}

// flushing is how the files of one round are flushed. Goroutines take them one at
// a time, so one that hangs holds up none of the others.
type flushing struct {
	rounds *rounds
	dir    string
	all    chan struct{} // closed when no flush is left

	mu      sync.Mutex
	waiting []*change // guarded by mu: whose flush has not begun
	left    int       // guarded by mu: how many flushes have not ended
	durable []*change // guarded by mu
	over    bool      // guarded by mu: the round has gone on
}

// start has up to n goroutines take what waits.
func (f *flushing) start(n int) {
	f.mu.Lock()
	n = min(n, len(f.waiting))
	f.mu.Unlock()
	for range n {
		f.rounds.hands.Do(f.work)
	}
}

func (f *flushing) work() {
	for c := f.take(); c != nil; c = f.take() {
		err := c.file.flush()
		if c.started != nil {
			err = c.started // which the flush may not repeat
		}
		c.file = nil
		if err != nil {
			f.rounds.settle(c, err)
		}
		f.flushed(c, err == nil)
	}
}

func (f *flushing) take() *change {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return nil
	}
	c := f.waiting[0]
	f.waiting = f.waiting[1:]
	return c
}

// flushed notes that a flush has ended. A file that is late needs another flush of
// its directory.
func (f *flushing) flushed(c *change, durable bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case durable && f.over:
		c.late = true
		f.rounds.enqueue(f.dir, c)
	case durable:
		f.durable = append(f.durable, c)
	}
	if f.left--; f.left == 0 {
		close(f.all)
	}
}

// goOn has the round go on with what has been flushed.
func (f *flushing) goOn() []*change {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	return f.durable
}

func (r *rounds) flushDirectory(dir string) error {
	if r.flushDir != nil {
		return r.flushDir(dir)
	}
	return flushDirectory(dir)
}

// flushDirectory makes durable which names are in a directory of this machine.
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
