// Package spawn starts processes that are to die with this program.
package spawn

import (
	"os/exec"
	"runtime"
	"sync"
)

// thread is one operating system thread that lives as long as the program.
var thread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start is cmd.Start for a process with a parent-death signal. Linux sends that
// signal when the thread that forked ends, and a thread ends with any goroutine
// that had locked it for good.
func Start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	thread() <- func() { started <- cmd.Start() }
	return <-started
}
