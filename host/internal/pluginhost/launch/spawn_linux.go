package launch

import (
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Launcher forks processes from one operating system thread that lives as long
// as the Launcher: the parent-death signal of Linux fires when the thread that
// forked ends, not only when the process does.
type Launcher struct {
	requests chan forkRequest
	lifeline *lifeline
}

type forkRequest struct {
	path  string
	argv  []string
	attr  *os.ProcAttr
	reply chan<- forkReply
}

type forkReply struct {
	process *os.Process
	err     error
}

// NewLauncher starts the forking thread. Close it when all of its processes
// have ended.
func NewLauncher() (*Launcher, error) {
	line, err := newLifeline()
	if err != nil {
		return nil, err
	}
	// Descriptors that the host itself has inherited must not travel on. Go
	// opens its own ones so that they end at an exec. An old kernel can't do it.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	l := &Launcher{requests: make(chan forkRequest), lifeline: line}
	go l.run()
	return l, nil
}

func (l *Launcher) run() {
	// Never unlocked: the thread ends with this goroutine.
	runtime.LockOSThread()
	for r := range l.requests {
		p, err := os.StartProcess(r.path, r.argv, r.attr)
		r.reply <- forkReply{p, err}
	}
}

// fork starts a process in a group of its own that dies with the host.
func (l *Launcher) fork(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	reply := make(chan forkReply, 1)
	l.requests <- forkRequest{path, argv, attr, reply}
	r := <-reply
	return r.process, r.err
}

// Close ends the thread and closes the lifeline: what still runs dies.
func (l *Launcher) Close() {
	close(l.requests)
	_ = l.lifeline.close()
}

// reap waits for the end of a process. ended is called when it has ended and
// still holds its number, which is also the number of its group.
func reap(p *os.Process, ended func()) (*os.ProcessState, error) {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, p.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	ended()
	return p.Wait()
}
