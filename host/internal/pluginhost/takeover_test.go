package pluginhost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

func pidOf(t *testing.T, p connector.Port) int {
	t.Helper()
	res, err := p.TestConnection(t.Context(), &connectorv1.TestConnectionRequest{
		Connection: &connectorv1.Connection{Config: []byte(`{"say":"pid"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return int(res.GetLatencyMs())
}

func TestNewBinaryIsTakenOverWithoutLosingARunningExport(t *testing.T) {
	bothWays(t, func(t *testing.T, plan behavior) {
		w := newWorld(t)
		w.opts.Limits.Scan = 50 * time.Millisecond
		plan.Version = "1.0.0"
		install(t, w.dir, "noop", plan)
		h := w.start()
		p := w.port("NOOP")
		oldPID := w.status("noop").PID

		gate := filepath.Join(t.TempDir(), "gate")
		type outcome struct {
			result *connectorv1.ExportResult
			err    error
		}
		done := make(chan outcome, 1)
		go func() {
			r, err := export(p, "wait "+gate, nil)
			done <- outcome{r, err}
		}()
		eventually(t, 5*time.Second, "the export runs", exists(gate+".entered"))
		plan.Version = "2.0.0"
		install(t, w.dir, "noop", plan)
		eventually(t, 10*time.Second, "the new binary is in use", func() bool { return p.Describe().GetVersion() == "2.0.0" })

		if pid := pidOf(t, p); pid == oldPID {
			t.Error("new calls go to the old process")
		}
		draining := 0
		for _, s := range h.Status() {
			if s.State == connector.Draining && s.PID == oldPID && s.InFlight == 1 && s.Version == "1.0.0" {
				draining++
			}
		}
		if draining != 1 {
			t.Errorf("status does not show the draining process: %+v", h.Status())
		}
		os.WriteFile(gate, nil, 0o600)
		if got := <-done; got.err != nil || got.result.GetErpOrderId() != "1.0.0" {
			t.Errorf("the running export ended with %v %v", got.result, got.err)
		}
		eventually(t, 5*time.Second, "the old process is gone", func() bool { return !alive(oldPID) })
		if s := w.status("noop"); s.Restarts != 0 || s.LastExit != "" {
			t.Errorf("the takeover looks like a crash: %+v", s)
		}
	})
}

func TestBrokenNewBinaryLeavesTheOldOneRunning(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]behavior{
		"last output: no license found":     {Before: "exit"},
		"its Describe answer can't be used": {Version: "x"},
		"no answer to Describe within":      {Describe: "hang"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Limits.Describe = 500 * time.Millisecond
			install(t, w.dir, "noop", behavior{})
			h := w.start()
			p, pid := w.port("NOOP"), w.status("noop").PID
			install(t, w.dir, "noop", plan)
			if err := h.Rescan(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, "the reason is shown", func() bool {
				s := w.status("noop")
				return strings.Contains(s.Reason, name) && strings.Contains(s.Reason, "the old one goes on")
			})
			if s := w.status("noop"); s.State != connector.Ready || s.PID != pid {
				t.Errorf("status %+v", s)
			}
			// Also when the old one dies now: its copy is still there.
			if _, err := export(p, "raise kill", nil); asCrash(err) == nil {
				t.Errorf("got %v", err)
			}
			if _, err := export(p, "deliver", nil); err != nil {
				t.Errorf("after the death of the old one: %v", err)
			}
		})
	}
}

func TestLockDecidesWhenAReplacedBinaryIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Dev, w.opts.Limits.Scan = false, 50*time.Millisecond
	trust := func() {
		t.Helper()
		in, err := pluginhost.Inspect(t.Context(), filepath.Join(w.dir, "orderport-connector-noop"), pluginhost.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Trust(w.dir, []lock.Entry{in.Entry()}); err != nil {
			t.Fatal(err)
		}
	}
	install(t, w.dir, "noop", behavior{Version: "1.0.0"})
	trust()
	w.start()
	p := w.port("NOOP")
	install(t, w.dir, "noop", behavior{Version: "2.0.0"})
	eventually(t, 5*time.Second, "the reason is shown", func() bool {
		return strings.Contains(w.status("noop").Reason, "not taken over") && !w.status("noop").Trusted
	})
	if p.Describe().GetVersion() != "1.0.0" {
		t.Error("a binary that nobody trusts is in use")
	}
	trust()
	eventually(t, 5*time.Second, "the trusted binary is in use", func() bool { return p.Describe().GetVersion() == "2.0.0" })
	if s := w.status("noop"); s.Reason != "" || !s.Trusted {
		t.Errorf("status %+v", s)
	}
	os.WriteFile(filepath.Join(w.dir, lock.FileName), []byte(`{"version":1,"connectors":[]}`), 0o644)
	eventually(t, 5*time.Second, "trust taken away ends it", func() bool {
		s := w.status("noop")
		return s.State == connector.Quarantined && s.PID == 0
	})
	if len(w.host.Types()) != 0 {
		t.Error("it is still offered")
	}
	trust()
	eventually(t, 5*time.Second, "trust given again starts it", func() bool { return w.status("noop").State == connector.Ready })
}

func TestBrokenLockFileStopsNothingThatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Dev, w.opts.Limits.Scan = false, 20*time.Millisecond
	path := install(t, w.dir, "noop", behavior{})
	in, err := pluginhost.Inspect(t.Context(), path, pluginhost.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Trust(w.dir, []lock.Entry{in.Entry()}); err != nil {
		t.Fatal(err)
	}
	w.start()
	os.WriteFile(filepath.Join(w.dir, lock.FileName), []byte(`{`), 0o644)
	eventually(t, 5*time.Second, "it is logged", func() bool { return strings.Contains(w.log.String(), "lock file can't be used") })
	if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
		t.Error(err)
	}
}

func TestRemovedAndAddedBinariesAreNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.Scan = 20 * time.Millisecond
	h := w.start()
	path := install(t, w.dir, "noop", behavior{})
	eventually(t, 5*time.Second, "the new binary is ready", func() bool { return len(h.Types()) == 1 })
	pid := w.status("noop").PID
	os.Remove(path)
	eventually(t, 5*time.Second, "the process is stopped", func() bool { return !alive(pid) && len(h.Status()) == 0 })
	if _, err := h.Get("NOOP"); err == nil || err.Error() != "Unknown connector type: NOOP" {
		t.Errorf("got %v", err)
	}
}
