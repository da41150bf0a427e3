package launch

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	// Status is such as "exit status 2" or "killed by signal 9 (SIGKILL)".
	Status string
	// ByHost says why the host ended it; empty if it ended by itself.
	ByHost string
	// LastWord is the headline of a panic or the last line that the process
	// printed, redacted; empty if there was none.
	LastWord string
}

// String is all of it in one line.
func (e Exit) String() string {
	s := e.Status
	if e.ByHost != "" {
		s = "ended by the host: " + e.ByHost + " (" + e.Status + ")"
	}
	if e.LastWord != "" {
		s += "; last output: " + e.LastWord
	}
	return s
}

// statusOf describes how a process ended. A SIGKILL that did not come from
// here is most often the kernel's out-of-memory killer.
func statusOf(state *os.ProcessState, err error, ours bool) string {
	if err != nil {
		return "unknown end: " + err.Error()
	}
	ws, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() {
		return fmt.Sprintf("exit status %d", state.ExitCode())
	}
	s := fmt.Sprintf("killed by signal %d (%s)", ws.Signal(), unix.SignalName(ws.Signal()))
	if ws.Signal() == syscall.SIGKILL && !ours {
		s += ", not by this host; perhaps out of memory"
	}
	return s
}
