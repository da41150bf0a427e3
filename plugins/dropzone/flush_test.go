package main

import (
	"context"
	"errors"
	"sync"
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
