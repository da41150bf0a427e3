package pluginhost_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/pluginhost"
	"github.com/orderport/orderport/host/internal/pluginhost/rundir"
)

func TestProcessGetsOnlyWhatItNeeds(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "x")
	t.Setenv("ENCRYPTION_MASTER_KEY", "x")
	t.Setenv("TZ", "Europe/Berlin")
	t.Setenv("LC_TIME", "de_DE.UTF-8")
	t.Setenv("SAP_HOME", "/opt/sap")
	t.Setenv("PLUGIN_MIN_PORT", "4711")
	w := newWorld(t)
	w.opts.PassEnv = []string{"SAP_HOME", "ENCRYPTION_MASTER_KEY"}
	state := filepath.Join(t.TempDir(), "report")
	path := install(t, w.dir, "noop", behavior{Before: "report", State: state})
	w.start()
	raw, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	report := string(raw)
	allowed := map[string]bool{
		"TZ": true, "LANG": true, "LC_TIME": true, "SAP_HOME": true,
		"ORDERPORT_CONNECTOR_COOKIE": true, "ORDERPORT_LIFELINE_FD": true, "ORDERPORT_LOG_LEVEL": true,
		"PLUGIN_MIN_PORT": true, "PLUGIN_MAX_PORT": true, "PLUGIN_PROTOCOL_VERSIONS": true,
		"PLUGIN_CLIENT_CERT": true, "PLUGIN_UNIX_SOCKET_DIR": true, "LANGUAGE": true,
	}
	for line := range strings.Lines(report) {
		if v, ok := strings.CutPrefix(line, "env "); ok {
			if name, _, _ := strings.Cut(v, "="); !allowed[name] && !strings.HasPrefix(name, "LC_") && !strings.HasPrefix(name, "SSL_CERT_") {
				t.Errorf("it sees %s", name)
			}
		}
	}
	for _, want := range []string{
		"env TZ=Europe/Berlin\n", "env LC_TIME=de_DE.UTF-8\n", "env SAP_HOME=/opt/sap\n", "env PLUGIN_MIN_PORT=10000\n",
		"env ORDERPORT_LOG_LEVEL=info\n", "env PLUGIN_CLIENT_CERT=-----BEGIN", "env ORDERPORT_LIFELINE_FD=4\n",
		"args [" + filepath.Base(path) + "]\n", "stdin /dev/null\n", "group true\n", "fd 4 pipe:",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
	for line := range strings.Lines(report) {
		if strings.HasPrefix(line, "fd ") && !strings.HasPrefix(line, "fd 3 /memfd:") && !strings.HasPrefix(line, "fd 4 pipe:") &&
			!strings.Contains(line, "eventpoll") && !strings.Contains(line, "eventfd") && !strings.Contains(line, "/proc/") && !strings.Contains(line, "/sys/fs/cgroup/") {
			t.Errorf("it inherits %q", line)
		}
	}
}

// startHost runs a host as a process of its own and returns it, and its
// connectors' process ids, once it is started.
func startHost(t *testing.T, dir, run string) (*exec.Cmd, map[string]int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), hostDirEnv+"="+dir, hostRunEnv+"="+run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	pids := map[string]int{}
	for s := bufio.NewScanner(out); s.Scan() && s.Text() != "started"; {
		var name string
		var pid int
		fmt.Sscan(s.Text(), &name, &pid)
		pids[name] = pid
	}
	return cmd, pids
}

func TestKilledHostTakesItsConnectorsAlong(t *testing.T) {
	t.Parallel()
	dir, run, states := t.TempDir(), t.TempDir(), t.TempDir()
	child := filepath.Join(states, "child")
	install(t, dir, "plain", behavior{Type: "PLAIN"})
	install(t, dir, "stubborn", behavior{Type: "STUBBORN", Serve: "stubborn"})
	install(t, dir, "parent", behavior{Type: "PARENT", Serve: "grandchild of its own group", State: child})
	host, pids := startHost(t, dir, run)
	if len(pids) != 3 {
		t.Fatalf("the host started %v", pids)
	}
	eventually(t, 5*time.Second, "a grandchild", exists(child))
	syscall.Kill(pids["STUBBORN"], syscall.SIGSTOP)
	host.Process.Kill()
	host.Wait()
	for name, pid := range pids {
		eventually(t, 2*time.Second, name+" is gone", func() bool { return !alive(pid) })
	}
	left, _ := filepath.Glob(filepath.Join(run, "run-*"))
	if len(left) != 1 {
		t.Fatalf("the killed host left %v", left)
	}

	// What it could not take along, the next host sweeps.
	next, err := pluginhost.Open(pluginhost.Options{Dir: t.TempDir(), RunDir: run, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	grandchild := pidIn(t, child)
	eventually(t, 2*time.Second, "the grandchild is gone", func() bool { return !alive(grandchild) })
	if exists(left[0])() {
		t.Error("the folder of the killed host is still there")
	}
	if err := next.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	assertEmpty(t, run)
}

func TestSweepSparesLivingHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "noop", behavior{})
	w.start()
	other, err := pluginhost.Open(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
		t.Error(err)
	}
	if err := other.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if s := w.status("noop"); s.Restarts != 0 || !alive(s.PID) {
		t.Errorf("%+v", s)
	}
}

func TestSocketPathsStayShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.RunDir = filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	state := filepath.Join(t.TempDir(), "report")
	install(t, w.dir, "noop", behavior{Before: "report", State: state})
	w.start()
	if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(state)
	_, rest, _ := strings.Cut(string(raw), rundir.MarkerEnv+"=")
	dir, _, _ := strings.Cut(rest, "\n")
	if len(dir) == 0 || len(dir) > 80 {
		t.Errorf("the socket's folder is %q", dir)
	}
	for d := dir; strings.Contains(d, "orderport-"); d = filepath.Dir(d) {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", d, info, err)
		}
	}
	w.stop()
	if exists(dir)() || exists(filepath.Dir(dir))() {
		t.Error("the folder elsewhere was left behind")
	}
}

func TestDeletedSocketDoesNotCutTheConnectorOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := filepath.Join(t.TempDir(), "report")
	install(t, w.dir, "noop", behavior{Before: "report", State: state})
	w.start()
	raw, _ := os.ReadFile(state)
	_, rest, _ := strings.Cut(string(raw), rundir.MarkerEnv+"=")
	dir, _, _ := strings.Cut(rest, "\n")
	if err := os.RemoveAll(dir); err != nil { // as cleaners of temporary directories do
		t.Fatal(err)
	}
	for range 3 {
		if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
			t.Error(err)
		}
	}
	if _, err := export(w.port("NOOP"), "raise kill", nil); asCrash(err) == nil {
		t.Errorf("got %v", err)
	}
	if _, err := export(w.port("NOOP"), "deliver", nil); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestLifelineTellsOfTheHostsEnd(t *testing.T) {
	t.Parallel()
	// The kernel's parent-death signal would hide what the lifeline does, so
	// the end of the lifeline is observed by a grandchild, which has no such
	// signal and inherits the descriptor.
	dir, run, states := t.TempDir(), t.TempDir(), t.TempDir()
	seen := filepath.Join(states, "seen")
	script(t, dir, "shell", fmt.Sprintf(
		`( eval "cat <&$ORDERPORT_LIFELINE_FD" >/dev/null; echo > %s ) >/dev/null 2>&1 &
echo > %s; exec sleep 100`, seen, filepath.Join(states, "up")))
	host, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(host)
	cmd.Env = append(os.Environ(), hostDirEnv+"="+dir, hostRunEnv+"="+run)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the script runs", exists(filepath.Join(states, "up")))
	pause(100 * time.Millisecond)
	if exists(seen)() {
		t.Fatal("the lifeline ended while the host lives")
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, 2*time.Second, "the end of the lifeline is seen", exists(seen))
}
