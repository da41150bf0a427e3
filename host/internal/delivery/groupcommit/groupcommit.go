// Package groupcommit lets many callers share one database transaction.
//
// Nobody waits on purpose: a caller that finds nothing under way is committed
// at once, and whoever comes meanwhile makes up the next batch. So a batch is
// as large as the load asks for, and the latency of a quiet system is that of
// one commit.
//
// A batch that fails is tried again, because the usual reason is a database
// that restarts. If it keeps failing, its items go one by one, so that one that
// the database can't take does not fail its neighbours; those that fail alone
// are tried again, alone, until their callers give up. Items must therefore be
// repeatable: a commit whose reply was lost is made again.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Options say how a Committer commits.
type Options[T any] struct {
	// Commit commits all items in one transaction. errs[i] is the verdict on
	// item i; err means that nothing was committed, or that it can't be known.
	Commit func(ctx context.Context, items []T) (errs []error, err error)
	// MaxBatch bounds a batch. Zero: 512.
	MaxBatch int
	// Timeout bounds one call of Commit. Zero: 10 s.
	Timeout time.Duration
}

const (
	firstPause  = 50 * time.Millisecond
	longestWait = time.Second
	wholeTries  = 3 // how often a batch is tried before its items go alone
	loneTries   = 3 // failures in a row among lone items that end the pass
)

// errAlone tells a caller that its item goes alone from now on.
var errAlone = errors.New("the batch failed")

// Committer is safe for concurrent use. It has one goroutine while there is
// something to commit and none otherwise.
type Committer[T any] struct {
	o Options[T]

	mu      sync.Mutex
	waiting []*entry[T] // guarded by mu: not in a batch yet
	running bool        // guarded by mu: the goroutine lives
}

type entry[T any] struct {
	ctx  context.Context
	item T
	done chan error // one verdict, buffered
}

// New returns a Committer.
func New[T any](o Options[T]) *Committer[T] {
	if o.MaxBatch == 0 {
		o.MaxBatch = 512
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	return &Committer[T]{o: o}
}

// Do returns when item is committed, with the verdict on it, or when ctx ends,
// with ctx's error; then it may have been committed, or be so later.
func (c *Committer[T]) Do(ctx context.Context, item T) error {
	e := &entry[T]{ctx: ctx, item: item, done: make(chan error, 1)}
	c.enqueue(e)
	select {
	case err := <-e.done:
		if !errors.Is(err, errAlone) {
			return err
		}
		return c.alone(ctx, item, err)
	case <-ctx.Done():
		return fmt.Errorf("wait for commit: %w", ctx.Err())
	}
}

func (c *Committer[T]) enqueue(e *entry[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, e)
	if !c.running {
		c.running = true
		go c.run()
	}
}

// run commits batches until nobody waits. Every caller in Do is waiting for
// it, so it needs no other owner.
func (c *Committer[T]) run() {
	for batch := c.take(); batch != nil; batch = c.take() {
		c.commit(batch)
	}
}

func (c *Committer[T]) take() []*entry[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.o.MaxBatch)
	if n == 0 {
		c.running, c.waiting = false, nil
		return nil
	}
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	return batch
}

func (c *Committer[T]) commit(batch []*entry[T]) {
	var err error
	for try := range wholeTries {
		if try > 0 {
			time.Sleep(firstPause << (try - 1))
		}
		batch = abandonEnded(batch)
		if len(batch) == 0 {
			return
		}
		if err = c.once(batch); err == nil {
			return
		}
	}
	c.oneByOne(batch, err)
}

// oneByOne finds the items that can be committed. When several in a row can't
// be, it is the database's fault, and the rest need not be tried here.
func (c *Committer[T]) oneByOne(batch []*entry[T], err error) {
	failed := 0
	if len(batch) == 1 {
		failed = loneTries // it has just been tried alone
	}
	for _, e := range batch {
		if failed < loneTries {
			if err = c.once([]*entry[T]{e}); err == nil {
				failed = 0
				continue
			}
			failed++
		}
		e.done <- fmt.Errorf("%w: %w", errAlone, err)
	}
}

// once tries a batch and, if that worked, delivers the verdicts.
func (c *Committer[T]) once(batch []*entry[T]) error {
	items := make([]T, len(batch))
	for i, e := range batch {
		items[i] = e.item
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.o.Timeout)
	defer cancel()
	errs, err := c.o.Commit(ctx, items)
	if err != nil {
		return err
	}
	for i, e := range batch {
		e.done <- errs[i]
	}
	return nil
}

// alone commits one item in its caller's time.
func (c *Committer[T]) alone(ctx context.Context, item T, err error) error {
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for commit: %w (last try: %w)", ctx.Err(), err)
		case <-time.After(pause):
		}
		callCtx, cancel := context.WithTimeout(ctx, c.o.Timeout)
		var errs []error
		errs, err = c.o.Commit(callCtx, []T{item})
		cancel()
		if err == nil {
			return errs[0]
		}
	}
}

// abandonEnded drops the items whose callers have gone.
func abandonEnded[T any](batch []*entry[T]) []*entry[T] {
	alive := batch[:0]
	for _, e := range batch {
		if e.ctx.Err() == nil {
			alive = append(alive, e)
		}
	}
	return alive
}
