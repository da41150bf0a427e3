package rundir_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/pluginhost/rundir"
)

var quiet = slog.New(slog.DiscardHandler)

func TestSweepRemovesDeadRunsAndSparesTheRest(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "run")
	living, err := rundir.Open(base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	dead, young, old, foreign := filepath.Join(base, "run-1"), filepath.Join(base, "new-1"), filepath.Join(base, "new-2"), filepath.Join(base, "keep")
	for _, d := range []string{dead, young, old, foreign} {
		if err := os.MkdirAll(filepath.Join(d, "plugin-dir1"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	os.Chtimes(old, time.Now(), time.Now().Add(-time.Hour))
	precious := t.TempDir()
	os.Symlink(precious, filepath.Join(dead, "sockets")) // planted: not a folder that a host made

	next, err := rundir.Open(base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for path, there := range map[string]bool{living.Path(): true, next.Path(): true, dead: false, young: true, old: false, foreign: true, precious: true} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s is there: %v", filepath.Base(path), err == nil)
		}
	}
	for _, d := range []string{base, next.Path(), next.Sockets()} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
}

func TestSocketsLieElsewhereIfThePathIsTooLong(t *testing.T) {
	t.Parallel()
	for _, long := range []bool{false, true} {
		base, err := os.MkdirTemp("", "r")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		if long {
			base = filepath.Join(base, strings.Repeat("x", 100))
		}
		d, err := rundir.Open(base, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Sockets()) > rundir.MaxBase || (d.Sockets() == d.Path()) == long {
			t.Errorf("long %v: sockets go to %s", long, d.Sockets())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.Sockets()); err == nil {
			t.Error("it was not removed")
		}
	}
}

func TestProcessesAreKnownByTheirMarkAndNotByTheirNumber(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run-1")
	start := func(env string) *exec.Cmd {
		cmd := exec.Command("sleep", "60")
		cmd.Env = []string{env}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	ours, nested := start(rundir.MarkerEnv+"="+dir), start(rundir.MarkerEnv+"="+dir+"/plugin-dir1")
	start(rundir.MarkerEnv + "=" + dir + "0") // another run whose name begins alike
	start("OTHER=" + dir)
	if n := rundir.KillMarked(dir); n != 2 {
		t.Errorf("%d processes were killed", n)
	}
	for _, cmd := range []*exec.Cmd{ours, nested} {
		if err := cmd.Wait(); err == nil {
			t.Error("it ended by itself")
		}
	}
}
