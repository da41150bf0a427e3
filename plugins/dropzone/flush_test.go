package main

import (
	"context"
	"errors"
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

func TestFlushIsSharedByThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rounds := 0
		var f flushes
		flush := func() error {
			rounds++                // one at a time, so no lock
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			return nil
		}
		start := time.Now()
		var wg sync.WaitGroup
		wait := func() {
			wg.Go(func() {
				if err := f.Wait(t.Context(), "dir", flush); err != nil {
					t.Error(err)
				}
			})
		}
		wait()
		synctest.Wait() // the first round has begun
		for range 50 {
			wait()
		}
		wg.Wait()
		if rounds != 2 || time.Since(start) != 2*time.Second {
			t.Errorf("%d rounds in %v; want the first, and one more for the 50 that came too late for it", rounds, time.Since(start))
		}
		if len(f.entries) != 0 {
			t.Errorf("%d entries are kept", len(f.entries))
		}
	})
}

func TestFlushBeginsAfterTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		written, durable := map[int]bool{}, map[int]bool{}
		var f flushes
		flush := func() error {
			mu.Lock()
			began := map[int]bool{}
			for i := range written {
				began[i] = true
			}
			mu.Unlock()
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			mu.Lock()
			defer mu.Unlock()
			for i := range began {
				durable[i] = true
			}
			return nil
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 70 * time.Millisecond) //nolint:forbidigo // the bubble's clock
				mu.Lock()
				written[i] = true
				mu.Unlock()
				_ = f.Wait(t.Context(), "dir", flush)
				mu.Lock()
				defer mu.Unlock()
				if !durable[i] {
					t.Errorf("what was written before call %d is not durable after it", i)
				}
			})
		}
		wg.Wait()
	})
}

func TestFlushErrorReachesAllWhoWait(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var f flushes
	together(8, func(int) {
		if err := f.Wait(t.Context(), "dir", func() error { return broken }); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFlushThatHangsLetsGoOfACancelledCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		var f flushes
		err := f.Wait(ctx, "dir", func() error { <-release; return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}

func TestAFileThatCannotBeFlushedFailsAlone(t *testing.T) {
	t.Parallel()
	var f flushes
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			file, err := os.Create(filepath.Join(t.TempDir(), strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
				return
			}
			fd := int(file.Fd())
			if i%10 == 0 {
				fd = -1
			}
			if err := f.File("dir", descriptor(fd)); (err != nil) != (fd < 0) {
				t.Errorf("flush of %d: %v", fd, err)
			}
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(f.entries) != 0 {
		t.Errorf("%d entries are kept", len(f.entries))
	}
}

// fakeFile is a file on a disk that answers as the test wants it.
type fakeFile struct {
	begun error
	held  chan struct{} // nil: the flush returns at once
}

func (f fakeFile) begin() error { return f.begun }

func (f fakeFile) flush() error {
	if f.held != nil {
		<-f.held
	}
	return nil
}

func TestContentThatTheSystemDroppedIsNotTakenForDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flushes
		var wg sync.WaitGroup
		held := make(chan struct{})
		flush := func(file fakeFile) {
			wg.Go(func() {
				if err := f.File("dir", file); !errors.Is(err, file.begun) {
					t.Errorf("got %v, want %v", err, file.begun)
				}
			})
			synctest.Wait()
		}
		for range flushers {
			flush(fakeFile{held: held})
		}
		for range 3 { // which wait together
			flush(fakeFile{})
			flush(fakeFile{begun: syscall.ENOSPC})
		}
		close(held)
		wg.Wait()
	})
}

func TestAFileThatHangsHoldsUpNoneThatWaitedWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flushes
		var wg sync.WaitGroup
		var flushed atomic.Int32
		held, stuck := make(chan struct{}), make(chan struct{})
		flush := func(file fakeFile) {
			wg.Go(func() {
				_ = f.File("dir", file)
				flushed.Add(1)
			})
			synctest.Wait()
		}
		for range flushers {
			flush(fakeFile{held: held})
		}
		flush(fakeFile{held: stuck})
		for range 2 * filesAtOnce {
			flush(fakeFile{})
		}
		close(held)
		synctest.Wait()
		if n := flushed.Load(); n != flushers+2*filesAtOnce {
			t.Errorf("%d files are flushed, want all but the one that hangs", n)
		}
		close(stuck)
		wg.Wait()
	})
}

func TestFilesOnASlowDiskAreFlushedSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flushes
		var wg sync.WaitGroup
		start := time.Now()
		for range 200 {
			wg.Go(func() { _ = f.File("dir", slowFile{}) })
		}
		wg.Wait()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("200 files that take a second each took %v", took)
		}
	})
}

// slowFile is a file on a share.
type slowFile struct{}

func (slowFile) begin() error { return nil }

func (slowFile) flush() error {
	time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
	return nil
}
