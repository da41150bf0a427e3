package hands

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHandThatIsHeldUpHoldsUpNobody(t *testing.T) {
	t.Parallel()
	var h Pool
	release := make(chan struct{})
	var stuck sync.WaitGroup
	for range 2 * maxIdle {
		stuck.Add(1)
		h.Do(func() { defer stuck.Done(); <-release })
	}
	done := make(chan struct{})
	h.Do(func() { close(done) })
	<-done // although all others hang
	close(release)
	stuck.Wait()
}

func TestHandsWorkAgain(t *testing.T) {
	t.Parallel()
	var h Pool
	var count int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 1000 {
		all.Add(1)
		h.Do(func() {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			count++
		})
	}
	all.Wait()
	if count != 1000 {
		t.Errorf("%d jobs ran, want 1000", count)
	}
}

func TestHandsThatWorkStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Pool
		work := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Add(1)
				h.Do(func() { <-time.After(time.Millisecond); all.Done() })
			}
			all.Wait()
			synctest.Wait()
		}
		idle := func() int {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.idle)
		}
		work(5)
		for range 10 {
			<-time.After(restTime / 2)
			work(2)
		}
		if n := idle(); n != 2 {
			t.Errorf("%d goroutines wait, want the 2 that had something to do", n)
		}
		<-time.After(2*restTime + time.Second)
		if n := idle(); n != 0 {
			t.Errorf("%d goroutines wait", n)
		}
	})
}

func TestIdleHandsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h Pool
		done := make(chan struct{})
		h.Do(func() { close(done) })
		<-done
		<-time.After(2*restTime + time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.idle) != 0 {
			t.Errorf("%d goroutines wait", len(h.idle))
		}
	}) // which fails if a goroutine is left
}
