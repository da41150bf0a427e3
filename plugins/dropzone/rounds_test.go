package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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

func (f fakeFile) begin() error { return f.begun }

func (f fakeFile) flush() error {
	if f.held != nil {
		<-f.held
	}
	time.Sleep(f.slow) //nolint:forbidigo // the bubble's clock
	return f.broken
}

// write begins to make a file durable, and returns what waits for it.
func (d *disk) write(ctx context.Context, file openFile) (wait func() error) {
	c := &change{ctx: ctx, do: func() (openFile, error) { return file, nil }}
	d.begin("dir", c)
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
			wg.Go(func() { noErr(t, wait()) })
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
		if err := d.write(t.Context(), file)(); !errors.Is(err, file.broken) {
			t.Errorf("flush of %d: %v", i, err)
		}
	})
}

func TestAChangeThatCannotBeMadeFailsAlone(t *testing.T) {
	t.Parallel()
	d := newDisk()
	together(300, func(i int) {
		var want error
		if i%10 == 0 {
			want = fs.ErrExist
		}
		if err := d.change(t.Context(), "dir", func() error { return want }); !errors.Is(err, want) {
			t.Errorf("change %d: %v", i, err)
		}
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
					if err := wait(); !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
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
			wg.Go(func() { noErr(t, wait()) })
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
			wg.Go(func() { noErr(t, wait()) })
		}
		wg.Wait()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("200 files that take a second each took %v", took)
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
		wantIs(t, err, errUnflushed)
		wantIs(t, err, d.dirBroken)
	})
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

// Whoever waited for it has gone and would not remove it.
func TestAFileThatNobodyWaitsForIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flushing, release := make(chan struct{}), make(chan struct{})
	shared := &rounds{flushDir: func(string) error { close(flushing); <-release; return nil }}
	target := newFilesystem(config{}, shared)
	ctx, cancel := context.WithCancel(t.Context())
	staged := target.Stage(ctx, dir, "a", []byte("x"))
	<-flushing
	wantNames(t, dir, "a")
	cancel()
	_, err := staged()
	wantIs(t, err, context.Canceled)
	close(release)
	shared.flushDir = nil
	noErr(t, target.Flush(t.Context(), dir)) // the round after it
	wantNames(t, dir)
}

func TestManyStageAndPublishInOneDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := newFilesystem(config{}, &rounds{})
	want, err := target.Identity(t.Context(), dir)
	noErr(t, err)
	writeFile(t, filepath.Join(dir, "taken.tmp"), "theirs")
	writeFile(t, filepath.Join(dir, "taken"), "theirs")
	together(64, func(i int) {
		name := strconv.Itoa(i)
		identity, err := target.Stage(t.Context(), dir, name+".tmp", []byte(name))()
		if err != nil || identity != want {
			t.Errorf("staged in %q (%v), want %q", identity, err, want)
		}
		if i%2 == 0 {
			noErr(t, target.Publish(t.Context(), dir, name+".tmp", name))
			wantFile(t, filepath.Join(dir, name), []byte(name))
			wantIs(t, target.Publish(t.Context(), dir, name+".tmp", name), fs.ErrNotExist)
			return
		}
		wantIs(t, target.Publish(t.Context(), dir, name+".tmp", "taken"), fs.ErrExist)
		wantFile(t, filepath.Join(dir, name+".tmp"), []byte(name))
		_, err = target.Stage(t.Context(), dir, "taken.tmp", []byte(name))()
		wantIs(t, err, fs.ErrExist)
	})
	for _, name := range []string{"taken", "taken.tmp"} {
		wantFile(t, filepath.Join(dir, name), []byte("theirs"))
	}
	_, err = target.Stage(t.Context(), filepath.Join(dir, "gone"), "a", nil)()
	wantIs(t, err, os.ErrNotExist)
	wantIs(t, target.Publish(t.Context(), filepath.Join(dir, "gone"), "a", "b"), os.ErrNotExist)
}
