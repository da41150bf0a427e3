package pluginhost_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
)

func TestDeathOfAConnectorEndsItsCallsWithTheReason(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		w.opts.Limits.PingEvery, w.opts.Limits.PingTimeout = 100*time.Millisecond, 300*time.Millisecond
		install(t, w.dir, "noop", plan)
		w.start()
		for act, reason := range map[string]string{
			"raise panic": "exit status 2; last output: panic: order 4711 is too much for me",
			"raise exit":  "exit status 7; last output: disk is gone",
			"raise kill":  "killed by signal 9 (SIGKILL), not by this host",
			"raise stop":  "ended by the host: no answer to two pings",
		} {
			_, err := export(w.port("NOOP"), act, nil)
			if crash := asCrash(err); crash == nil || crash.Type != "NOOP" || !strings.Contains(crash.Reason, reason) {
				t.Errorf("%s: got %v, want %q", act, err, reason)
			}
			if r, err := export(w.port("NOOP"), "deliver", nil); err != nil || !r.GetSuccess() {
				t.Errorf("the next export after %s: %v %v", act, r, err)
			}
			if s := w.status("noop"); !strings.Contains(s.LastExit, reason) {
				t.Errorf("%s: last exit is %q", act, s.LastExit)
			}
		}
		if s := w.status("noop"); s.Restarts != 4 || s.State != connector.Ready {
			t.Errorf("status %+v", s)
		}
	})
}

func TestConnectorUnderLoadIsBackQuickly(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		install(t, w.dir, "noop", plan)
		w.start()
		p := w.port("NOOP")
		for range 12 { // more often than the crash limit: it works in between
			if _, err := export(p, "deliver", nil); err != nil {
				t.Fatal(err)
			}
			pid := w.status("noop").PID
			begin := time.Now()
			syscall.Kill(pid, syscall.SIGKILL)
			eventually(t, 5*time.Second, "an export goes through", func() bool {
				_, err := export(p, "deliver", nil)
				var unavailable *connector.UnavailableError
				if err != nil && asCrash(err) == nil && !errors.As(err, &unavailable) {
					t.Fatal(err)
				}
				return err == nil && w.status("noop").PID != pid
			})
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		}
	})
}

func TestConnectorThatKeepsDyingIsQuarantined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.CrashLimit, w.opts.Limits.BackoffMin, w.opts.Limits.BackoffMax = 3, time.Millisecond, 5*time.Millisecond
	w.opts.Limits.Parole = time.Hour
	state := filepath.Join(t.TempDir(), "state")
	install(t, w.dir, "weak", behavior{Type: "WEAK", Serve: "die soon"})
	install(t, w.dir, "late", behavior{Type: "LATE", Before: "fail once", State: state})
	h := w.start()
	eventually(t, 10*time.Second, "quarantine", func() bool { return w.status("weak").State == connector.Quarantined })
	if s := w.status("weak"); !strings.Contains(s.Reason, "failed 3 times in a row") || !strings.Contains(s.Reason, "exit status 5") {
		t.Errorf("reason %q", s.Reason)
	}
	var unavailable *connector.UnavailableError
	if _, err := h.Get("WEAK"); !errors.As(err, &unavailable) || unavailable.RetryIn < 50*time.Minute {
		t.Errorf("Get answers %#v", err)
	}
	eventually(t, 5*time.Second, "the other one is ready after one failure", func() bool { return w.status("late").State == connector.Ready })

	if err := h.Rescan(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "tried again when an operator asks", func() bool { return w.status("weak").State == connector.Ready })
	eventually(t, 10*time.Second, "quarantine", func() bool { return w.status("weak").State == connector.Quarantined })
	install(t, w.dir, "weak", behavior{Type: "WEAK", Version: "1.0.1"})
	if err := h.Rescan(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := w.port("WEAK"); p.Describe().GetVersion() != "1.0.1" {
		t.Error("the repaired binary is not used")
	}
}

func TestQuarantineEndsWithOneTryAfterALongPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.CrashLimit, w.opts.Limits.Parole = 1, 200*time.Millisecond
	state := filepath.Join(t.TempDir(), "state")
	install(t, w.dir, "late", behavior{Type: "LATE", Before: "fail once", State: state})
	w.start()
	if s := w.status("late"); s.State != connector.Quarantined {
		t.Fatalf("state %s", s.State)
	}
	eventually(t, 5*time.Second, "ready", func() bool { return w.status("late").State == connector.Ready })
}

func TestRestartedConnectorMustBeWhoItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "shifty", behavior{Describe: "change", State: filepath.Join(t.TempDir(), "n")})
	w.start()
	export(w.port("NOOP"), "raise kill", nil)
	eventually(t, 5*time.Second, "quarantine", func() bool { return w.status("shifty").State == connector.Quarantined })
	if s := w.status("shifty"); !strings.Contains(s.Reason, "advertises NOOP 1.0.1 after a restart, before it was NOOP 1.0.0") {
		t.Errorf("reason %q", s.Reason)
	}
}

func TestCallsWaitForARestartABoundedTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.BackoffMin, w.opts.Limits.BackoffMax = time.Hour, time.Hour
	w.opts.Limits.Available = 300 * time.Millisecond
	install(t, w.dir, "noop", behavior{})
	w.start()
	p := w.port("NOOP")
	export(p, "raise kill", nil)
	begin := time.Now()
	_, err := export(p, "deliver", nil)
	var unavailable *connector.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.RetryIn < 50*time.Minute || !strings.Contains(unavailable.Reason, "SIGKILL") {
		t.Errorf("got %#v", err)
	}
	if took := time.Since(begin); took < 250*time.Millisecond || took > 5*time.Second {
		t.Errorf("the call waited %s", took)
	}
}

func TestStoppedConnectorDoesNotDelayTheStop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		plan behavior
		sig  syscall.Signal
	}{
		{"stopped by a signal", behavior{}, syscall.SIGSTOP},
		{"ignoring signals", behavior{Serve: "stubborn"}, 0},
		{"with a grandchild that holds its pipes", behavior{Serve: "grandchild"}, 0},
		{"with a grandchild that left the group", behavior{Serve: "grandchild of its own group"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Limits.Stop = 500 * time.Millisecond
			c.plan.State = filepath.Join(t.TempDir(), "child")
			install(t, w.dir, "noop", c.plan)
			w.start()
			pids := []int{w.status("noop").PID}
			if strings.HasPrefix(c.plan.Serve, "grandchild") {
				eventually(t, 5*time.Second, "a grandchild", exists(c.plan.State))
				pids = append(pids, pidIn(t, c.plan.State))
			}
			if c.sig != 0 {
				syscall.Kill(pids[0], c.sig)
			}
			begin := time.Now()
			w.stop()
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("the stop took %s", took)
			}
			for _, pid := range pids {
				eventually(t, time.Second, "the process is gone", func() bool { return !alive(pid) })
			}
			assertEmpty(t, w.opts.RunDir)
		})
	}
}

func TestDeathOfAConnectorEndsItsGrandchildren(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{"grandchild", "grandchild of its own group"} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			state := filepath.Join(t.TempDir(), "child")
			install(t, w.dir, "noop", behavior{Serve: plan, State: state})
			w.start()
			eventually(t, 5*time.Second, "a grandchild", exists(state))
			child := pidIn(t, state)
			begin := time.Now()
			_, err := export(w.port("NOOP"), "raise kill", nil)
			if asCrash(err) == nil || time.Since(begin) > 3*time.Second {
				t.Errorf("after %s: %v", time.Since(begin), err)
			}
			eventually(t, 2*time.Second, "the grandchild is gone", func() bool { return !alive(child) })
		})
	}
}

func pidIn(t *testing.T, path string) int {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for _, c := range raw {
		pid = 10*pid + int(c-'0')
	}
	return pid
}

func TestIsolatedRunsOneCallAtATimeInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.Idle = 300 * time.Millisecond
	install(t, w.dir, "noop", behavior{})
	h := w.start()
	shared := w.port("NOOP")
	lonely, err := h.Isolated("NOOP")
	if err != nil {
		t.Fatal(err)
	}
	before := w.status("noop").PID
	pid := pidOf(t, lonely)
	if pid == before || pidOf(t, shared) != before {
		t.Errorf("isolated calls run in process %d, shared ones in %d", pid, before)
	}

	gate := filepath.Join(t.TempDir(), "gate")
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := export(lonely, "wait "+gate, nil); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 5*time.Second, "the first call runs", exists(gate+".entered"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := exportCtx(ctx, lonely, "deliver", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second call at the same time: %v", err)
	}
	os.WriteFile(gate, nil, 0o600)
	wg.Wait()

	if _, err := export(lonely, "raise panic", nil); asCrash(err) == nil {
		t.Errorf("got %v", err)
	}
	if s := w.status("noop"); s.PID != before || s.Restarts != 0 {
		t.Error("the crash of the isolated process touched the shared one")
	}
	pid = pidOf(t, lonely)
	if !alive(pid) {
		t.Error("no new process after the crash")
	}
	eventually(t, 5*time.Second, "the idle process is stopped", func() bool { return !alive(pid) })
	if again := pidOf(t, lonely); again == pid {
		t.Error("the stopped process answered")
	}
}

func TestTwoIsolatedPortsHaveAProcessEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	h := w.start()
	var pids []int
	for range 2 {
		lonely, err := h.Isolated("NOOP")
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pidOf(t, lonely))
	}
	if shared := w.status("noop").PID; pids[0] == pids[1] || pids[0] == shared || pids[1] == shared {
		t.Errorf("isolated calls run in the processes %v, shared ones in %d", pids, shared)
	}
}

func TestDeathsDoNotQuarantineABinaryThatWorksInAnotherProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	h := w.start()
	shared := w.port("NOOP")
	lonely, err := h.Isolated("NOOP")
	if err != nil {
		t.Fatal(err)
	}
	for range 12 { // more often than the crash limit
		if _, err := export(shared, "raise kill", nil); asCrash(err) == nil {
			t.Fatalf("got %v, want a crash", err)
		}
		if _, err := export(lonely, "deliver", nil); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.status("noop"); s.State == connector.Quarantined {
		t.Errorf("it is quarantined: %s", s.Reason)
	}
}
