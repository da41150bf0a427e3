//go:build unix && !linux

package launch

import (
	"os"
	"syscall"
)

// Launcher forks processes. Without a parent-death signal only the lifeline
// tells a connector that its host has died.
type Launcher struct{ lifeline *lifeline }

// NewLauncher opens the lifeline. Close it when all processes have ended.
func NewLauncher() (*Launcher, error) {
	line, err := newLifeline()
	if err != nil {
		return nil, err
	}
	return &Launcher{lifeline: line}, nil
}

// fork starts a process in a group of its own.
func (l *Launcher) fork(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	return os.StartProcess(path, argv, attr)
}

// Close closes the lifeline: what still runs and watches it dies.
func (l *Launcher) Close() { _ = l.lifeline.close() }

// reap waits for the end of a process and calls ended right after it.
func reap(p *os.Process, ended func()) (*os.ProcessState, error) {
	state, err := p.Wait()
	ended()
	return state, err
}
