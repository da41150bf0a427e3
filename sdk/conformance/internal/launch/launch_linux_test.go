package launch_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
)

// TestKillAfterTheEndMeetsOnlyItsOwn leaves two processes in the group of a
// connector that has ended: one of its own, and one that stands for whoever
// has got the number since.
func TestKillAfterTheEndMeetsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "connector")
	script := "#!/bin/sh\nsleep 60 >/dev/null 2>&1 &\necho $! >" + dir + "/child\nread -r line <" + dir + "/go\n"
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/go", 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := launch.Start(launch.Options{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	stranger := exec.CommandContext(ctx, "sleep", "60")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: p.Pid}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/go", []byte("on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	text, err := os.ReadFile(dir + "/child")
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	for procfs.Alive(child) {
		if ctx.Err() != nil {
			t.Fatal("the child of the connector lives")
		}
	}
	if !procfs.Alive(stranger.Process.Pid) {
		t.Error("somebody else was killed")
	}
	_ = stranger.Process.Kill()
	_ = stranger.Wait()
}
