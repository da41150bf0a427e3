package pluginhost_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestOneBadBinaryDisturbsNobody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		plan   behavior
		reason string
		state  connector.State
	}{
		{"it exits at once", behavior{Before: "exit"}, "exit status 3; last output: no license found", connector.Backoff},
		{"it panics before the handshake", behavior{Before: "panic"}, "last output: panic: cannot find my library", connector.Backoff},
		{"it never shakes hands", behavior{Before: "mute"}, "no handshake within", connector.Backoff},
		{"it only makes noise", behavior{Before: "endless noise"}, "no handshake within", connector.Backoff},
		{"it shakes hands and never serves", behavior{Before: "never serves"}, "no handshake within", connector.Backoff},
		{"it wants to be called on TCP", behavior{Before: "tcp"}, `network "tcp"`, connector.Quarantined},
		{"it names a foreign socket", behavior{Before: "foreign socket"}, "not directly in the folder", connector.Quarantined},
		{"it names a socket by climbing out", behavior{Before: "climbing socket"}, "not directly in the folder", connector.Quarantined},
		{"it dies in Describe", behavior{Describe: "crash"}, "ended during Describe: exit status 2; last output: panic: describe is broken", connector.Backoff},
		{"its Describe hangs", behavior{Describe: "hang"}, "no answer to Describe within", connector.Backoff},
		{"its type has no valid name", behavior{Type: "lower-case"}, `connector_type "lower-case"`, connector.Quarantined},
		{"its version is none", behavior{Version: "v1"}, `version "v1"`, connector.Quarantined},
		{"its name is blank", behavior{Name: "  "}, `name "  "`, connector.Quarantined},
		{"its schema is no JSON", behavior{Schema: "{"}, "config_schema", connector.Quarantined},
		{"its schema is open", behavior{Schema: `{"type":"object"}`}, "additionalProperties", connector.Quarantined},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Limits.Start, w.opts.Limits.Describe = 2*time.Second, time.Second
			w.opts.Limits.BackoffMin, w.opts.Limits.BackoffMax = time.Hour, time.Hour
			install(t, w.dir, "bad", c.plan)
			install(t, w.dir, "good", behavior{Type: "GOOD"})
			w.start()
			s := w.status("bad")
			if !strings.Contains(s.Reason, c.reason) || s.State != c.state || s.PID != 0 {
				t.Errorf("status of the bad one: %s %q pid %d, want %s and %q", s.State, s.Reason, s.PID, c.state, c.reason)
			}
			if _, err := export(w.port("GOOD"), "deliver", nil); err != nil {
				t.Errorf("the good one: %v", err)
			}
			if diff := cmp.Diff([]string{"GOOD"}, w.host.Types()); diff != "" {
				t.Error(diff)
			}
			w.stop()
			assertEmpty(t, w.opts.RunDir)
		})
	}
}

// assertEmpty says that a stopped host has left nothing.
func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the run directory holds %v (%v)", entries, err)
	}
}

func TestFilesThatAreNoBinariesAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "good", behavior{Type: "GOOD"})
	for name, content := range map[string]string{"text": "hello", "empty": ""} {
		if err := os.WriteFile(filepath.Join(w.dir, "orderport-connector-"+name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(w.dir, "orderport-connector-plain"), []byte("x"), 0o644)
	os.WriteFile(filepath.Join(w.dir, "README"), []byte("x"), 0o755)
	os.Symlink("/nowhere", filepath.Join(w.dir, "orderport-connector-dangling"))
	w.start()
	for name, reason := range map[string]string{
		"text": "exec format error", "empty": "exec format error",
		"plain": "not an executable file", "dangling": "no such file",
	} {
		if s := w.status(name); s.State != connector.Quarantined || !strings.Contains(s.Reason, reason) {
			t.Errorf("%s: %s %q, want %q", name, s.State, s.Reason, reason)
		}
	}
	if n := len(w.host.Status()); n != 5 {
		t.Errorf("%d binaries are listed, want 5", n)
	}
}

func TestUnknownTypeIsTheSentenceThatUsersSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.start()
	for _, get := range []func(string) (connector.Port, error){h.Get, h.Isolated} {
		_, err := get("SAP_RFC")
		var unknown *connector.UnknownTypeError
		if !errors.As(err, &unknown) || err.Error() != "Unknown connector type: SAP_RFC" {
			t.Errorf("got %v", err)
		}
	}
}

func TestTwoBinariesOfOneTypeAreBothRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := install(t, w.dir, "a", behavior{Type: "SAME"})
	b := install(t, w.dir, "b", behavior{Type: "SAME", Version: "2.0.0"})
	install(t, w.dir, "c", behavior{Type: "OTHER"})
	h := w.start()
	_, err := h.Get("SAME")
	if !errors.Is(err, connector.ErrAmbiguous) || !strings.Contains(err.Error(), a) || !strings.Contains(err.Error(), b) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"OTHER"}, h.Types()); diff != "" {
		t.Error(diff)
	}
	if s := w.status("a"); s.State != connector.Quarantined || !strings.Contains(s.Reason, b) {
		t.Errorf("status: %s %q", s.State, s.Reason)
	}
	os.Remove(a)
	if err := h.Rescan(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := w.port("SAME"); p.Describe().GetVersion() != "2.0.0" {
		t.Error("the one that is left is not used")
	}
}

func TestOnlyWhatTheLockPinsRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Dev = false
	ran := filepath.Join(t.TempDir(), "ran")
	good := install(t, w.dir, "good", behavior{Type: "GOOD"})
	changed := install(t, w.dir, "changed", behavior{Type: "CHANGED"})
	lying := install(t, w.dir, "lying", behavior{Type: "LYING"})
	var entries []lock.Entry
	for _, path := range []string{good, changed, lying} {
		in, err := pluginhost.Inspect(t.Context(), path, pluginhost.Options{})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, in.Entry())
	}
	entries[2].Version = "9.9.9"
	if err := lock.Trust(w.dir, entries); err != nil {
		t.Fatal(err)
	}
	install(t, w.dir, "changed", behavior{Type: "CHANGED", Before: "report", State: ran})
	install(t, w.dir, "stranger", behavior{Type: "STRANGER", Before: "report", State: ran})
	h := w.start()

	if diff := cmp.Diff([]string{"GOOD"}, h.Types()); diff != "" {
		t.Error(diff)
	}
	if exists(ran)() {
		t.Error("a binary ran that the lock does not pin")
	}
	for name, reason := range map[string]string{
		"changed":  "differs from connectors.lock.json: its SHA-256 is",
		"stranger": "not in connectors.lock.json: run `orderport connector trust",
		"lying":    "advertises LYING 1.0.0, trusted is LYING 9.9.9",
	} {
		if s := w.status(name); s.State != connector.Quarantined || !strings.Contains(s.Reason, reason) {
			t.Errorf("%s: %s %q, want %q", name, s.State, s.Reason, reason)
		}
	}
	var unavailable *connector.UnavailableError
	if _, err := h.Get("CHANGED"); !errors.As(err, &unavailable) {
		t.Errorf("a type whose binary has changed: %v", err)
	}
	if _, err := h.Get("STRANGER"); err == nil || err.Error() != "Unknown connector type: STRANGER" {
		t.Errorf("a type that nobody trusts: %v", err)
	}
	if s := w.status("good"); !s.Trusted || s.SHA256 != entries[0].SHA256 {
		t.Errorf("status of the good one: %+v", s)
	}
}

func TestOnlyTheNamedTypesAreLaunched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Dev, w.opts.Only = false, []string{"B"}
	var entries []lock.Entry
	for _, name := range []string{"A", "B"} {
		path := install(t, w.dir, strings.ToLower(name), behavior{Type: name})
		in, err := pluginhost.Inspect(t.Context(), path, pluginhost.Options{})
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, in.Entry())
	}
	if err := lock.Trust(w.dir, entries); err != nil {
		t.Fatal(err)
	}
	h := w.start()
	if diff := cmp.Diff([]string{"B"}, h.Types()); diff != "" {
		t.Error(diff)
	}
	if n := len(h.Status()); n != 1 {
		t.Errorf("%d binaries were considered", n)
	}
}

func TestInspectTellsWhatABinaryIsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, run := t.TempDir(), t.TempDir()
	path := install(t, dir, "x", behavior{Type: "X", Version: "1.2.3"})
	in, err := pluginhost.Inspect(t.Context(), path, pluginhost.Options{RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	if e := in.Entry(); e.Type != "X" || e.Version != "1.2.3" || e.File != "orderport-connector-x" || len(e.SHA256) != 64 {
		t.Errorf("entry %+v", e)
	}
	assertEmpty(t, run)
	install(t, dir, "x", behavior{Before: "exit"})
	if _, err := pluginhost.Inspect(t.Context(), path, pluginhost.Options{RunDir: run}); err == nil || !strings.Contains(err.Error(), "no license found") {
		t.Errorf("inspecting a broken binary: %v", err)
	}
	assertEmpty(t, run)
}

func TestTwoConnectorsAreReadyWellWithinASecond(t *testing.T) {
	w := newWorld(t)
	install(t, w.dir, "a", behavior{Type: "A"})
	install(t, w.dir, "b", behavior{Type: "B", Before: "noise"})
	begin := time.Now()
	w.start()
	took := time.Since(begin)
	t.Logf("two connectors were ready after %s", took)
	if len(w.host.Types()) != 2 || took > time.Second {
		t.Errorf("%v after %s", w.host.Types(), took)
	}
}

func TestSlowConnectorDoesNotHoldTheHostBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Limits.Settle = 300 * time.Millisecond
	install(t, w.dir, "mute", behavior{Before: "mute and stubborn"})
	install(t, w.dir, "good", behavior{Type: "GOOD"})
	begin := time.Now()
	w.start()
	if s := w.status("mute"); s.State != connector.Starting || time.Since(begin) > 3*time.Second {
		t.Errorf("after %s the mute one is %s", time.Since(begin), s.State)
	}
	begin = time.Now()
	w.stop() // go-plugin's own Kill would wait for the start to time out
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the stop took %s", took)
	}
	assertEmpty(t, w.opts.RunDir)
}
