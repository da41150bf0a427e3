package main

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a test by a clock of its own, until idle hands have ended.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t)
		<-time.After(time.Minute)
	})
}

// disk is one that answers as a test wants it. Its files are changes for rounds.
type disk struct {
	rounds

	dirFlushes atomic.Int32
	dirBroken  error
	ended      atomic.Int32 // changes
	undone     atomic.Int32
}

func newDisk() *disk {
	d := &disk{}
	d.flushDir = func(string) error {
		d.dirFlushes.Add(1)
		return d.dirBroken
	}
	return d
}

// fakeFile is a file on a disk.
type fakeFile struct {
	begun  error
	broken error
	held   chan struct{} // nil: the flush returns at once
	slow   time.Duration
}

func (f fakeFile) startWriting() error { return f.begun }

func (f fakeFile) flush() error {
	if f.held != nil {
		<-f.held
	}
	time.Sleep(f.slow) //nolint:forbidigo // the bubble's clock
	return f.broken
}

// write begins to make a file durable, and returns what waits for it.
func (d *disk) write(ctx context.Context, file newFile) (wait func() error) {
	c := &change{
		ctx:  ctx,
		do:   func() (newFile, error) { return file, nil },
		undo: func() { d.undone.Add(1) },
	}
	d.add("dir", c)
	return func() error {
		err := c.wait()
		d.ended.Add(1)
		return err
	}
}

func TestChangesThatComeDuringARoundAreTheNext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		held := make(chan struct{})
		var wg sync.WaitGroup
		write := func(file fakeFile) {
			wait := d.write(t.Context(), file)
			wg.Go(func() { wantIs(t, wait(), nil) })
		}
		write(fakeFile{held: held})
		synctest.Wait() // the first round has begun
		for range 50 {
			write(fakeFile{})
		}
		synctest.Wait()
		if n := d.dirFlushes.Load(); n != 0 {
			t.Errorf("%d flushes of the directory before a file's", n)
		}
		close(held)
		wg.Wait()
		if n := d.dirFlushes.Load(); n != 2 {
			t.Errorf("%d flushes of the directory, want the first, and one more for all 50 that came too late for it", n)
		}
		synctest.Wait()
		if len(d.waiting) != 0 {
			t.Errorf("%d directories are kept", len(d.waiting))
		}
	})
}

func TestAFileThatCannotBeFlushedFailsAlone(t *testing.T) {
	t.Parallel()
	d := newDisk()
	broken := errors.New("broken")
	together(300, func(i int) {
		file := fakeFile{}
		if i%10 == 0 {
			file.broken = broken
		}
		wantIs(t, d.write(t.Context(), file)(), file.broken)
	})
	if n := d.undone.Load(); n != 30 {
		t.Errorf("%d files are removed, want the 30 that could not be flushed", n)
	}
}

func TestAChangeThatCannotBeMadeFailsAlone(t *testing.T) {
	t.Parallel()
	d := newDisk()
	together(300, func(i int) {
		var want error
		if i%10 == 0 {
			want = fs.ErrExist
		}
		wantIs(t, d.change(t.Context(), "dir", func() error { return want }), want)
	})
}

func TestContentThatTheSystemDroppedIsNotTakenForDurable(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		held := make(chan struct{})
		first := d.write(t.Context(), fakeFile{held: held})
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 { // which wait together
			for _, want := range []error{nil, syscall.ENOSPC} {
				wait := d.write(t.Context(), fakeFile{begun: want})
				wg.Go(func() {
					wantIs(t, wait(), want)
				})
			}
		}
		close(held)
		wg.Wait()
		noErr(t, first())
	})
}

func TestAFileThatHangsHoldsUpNoneThatWaitedWithIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		held, stuck := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		write := func(file fakeFile) {
			wait := d.write(t.Context(), file)
			wg.Go(func() { wantIs(t, wait(), nil) })
		}
		write(fakeFile{held: held})
		synctest.Wait()
		const others = 10 * flushers
		for range 2 * flushers {
			write(fakeFile{held: stuck})
		}
		for range others {
			write(fakeFile{})
		}
		close(held)
		<-time.After(2 * patience)
		if n := d.ended.Load(); n != 1+others {
			t.Errorf("%d files are durable, want all but those that hang", n)
		}
		write(fakeFile{}) // in another round
		synctest.Wait()
		if n := d.ended.Load(); n != 2+others {
			t.Errorf("%d files are durable, want the one that came later, too", n)
		}
		close(stuck)
		wg.Wait()
	})
}

func TestFilesOnASlowDiskAreFlushedSideBySide(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		var wg sync.WaitGroup
		start := time.Now()
		for range 200 {
			wait := d.write(t.Context(), fakeFile{slow: time.Second})
			wg.Go(func() { wantIs(t, wait(), nil) })
		}
		wg.Wait()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("200 files that take a second each took %v", took)
		}
	})
}

// Orders go on at the pace of the disk: one that delivers waits for a few flushes,
// not for as many as others have files.
func TestAnOrderOnASlowDiskWaitsForFewFlushes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		const flush = 20 * time.Millisecond
		d := newDisk()
		d.flushDir = func(string) error { time.Sleep(flush); return nil } //nolint:forbidigo // the bubble's clock
		var longest time.Duration
		var mu sync.Mutex
		together(512, func(int) {
			for range 10 {
				start := time.Now()
				wantIs(t, d.write(t.Context(), fakeFile{slow: flush})(), nil)
				wantIs(t, d.change(t.Context(), "dir", func() error { return nil }), nil)
				mu.Lock()
				longest = max(longest, time.Since(start))
				mu.Unlock()
			}
		})
		if longest > 9*flush {
			t.Errorf("an order took %v with flushes of %v", longest, flush)
		}
	})
}

// Only one of both decides whether the file stays: who waits, or the round.
func TestAFileStaysOnlyIfItsCallerGetsIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		for i := range 500 {
			ctx, cancel := context.WithCancel(t.Context())
			before := d.undone.Load()
			wait := d.write(ctx, fakeFile{})
			if i%2 == 0 {
				wantIs(t, d.change(t.Context(), "dir", func() error { return nil }), nil) // after its round
				wantIs(t, d.change(t.Context(), "dir", func() error { return nil }), nil)
			}
			cancel()
			err := wait()
			wantIs(t, d.change(t.Context(), "dir", func() error { return nil }), nil)
			wantIs(t, d.change(t.Context(), "dir", func() error { return nil }), nil)
			if err == nil && d.undone.Load() != before {
				t.Fatal("a file is removed that its caller has got")
			}
			if i%2 == 0 {
				wantIs(t, err, nil)
			}
		}
	})
}

// A file that is late is flushed, but not its name: another flush of the
// directory has to follow.
func TestALateFileIsDurableWithItsName(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		late := d.write(t.Context(), fakeFile{slow: 3 * patience})
		<-time.After(2 * patience)
		before := d.dirFlushes.Load()
		noErr(t, late())
		if d.dirFlushes.Load() == before {
			t.Error("the file's name is not flushed")
		}
		broken := d.write(t.Context(), fakeFile{slow: 3 * patience, broken: fs.ErrPermission})
		wantIs(t, broken(), fs.ErrPermission)
	})
}

func TestAFlushOfTheDirectoryThatFailsReachesAllOfTheRound(t *testing.T) {
	t.Parallel()
	d := newDisk()
	d.dirBroken = errors.New("broken")
	together(20, func(i int) {
		var err error
		if i%2 == 0 {
			err = d.write(t.Context(), fakeFile{})()
		} else {
			err = d.change(t.Context(), "dir", func() error { return nil })
		}
		if !isUnflushed(err) || !errors.Is(err, d.dirBroken) {
			t.Errorf("got %v, want that the directory is not flushed", err)
		}
	})
	if n := d.undone.Load(); n != 10 {
		t.Errorf("%d files are removed, want all 10", n)
	}
}

func TestADirectoryThatHangsLetsGoOfACancelledCaller(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T) {
		d := newDisk()
		release := make(chan struct{})
		made := 0
		d.flushDir = func(string) error { <-release; return nil }
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			wantIs(t, d.change(ctx, "dir", func() error { made++; return nil }), context.DeadlineExceeded)
			cancel()
		}
		close(release)
		synctest.Wait()
		if made != 1 {
			t.Errorf("%d changes are made, want the one whose round hung: nobody waited for the other one any more", made)
		}
	})
}
