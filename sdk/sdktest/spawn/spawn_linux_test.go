package spawn_test

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/orderport/orderport/sdk/sdktest/spawn"
)

// TestAProcessOutlivesTheThreadOfWhoStartedIt starts a process from a thread
// that ends right after.
func TestAProcessOutlivesTheThreadOfWhoStartedIt(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var thread int
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		thread = syscall.Gettid()
		started <- spawn.Start(cmd)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	for syscall.Tgkill(syscall.Getpid(), thread, 0) == nil && thread != syscall.Getpid() {
		runtime.Gosched()
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("it ended with the thread: %v", err)
	}
}
