package sshtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/orderport/orderport/sdk/sdktest/spawn"
)

// process is a server's main process. Its sessions are processes below it,
// often in process groups of their own, so they are found through /proc.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the main process has been waited for
}

// startProcess starts a server that dies with this program: Linux kills it
// when its parent ends, and a session ends when its peer does.
func startProcess(binary string, args []string, output string) (*process, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownGroup()
	if err := spawn.Start(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// kill stops the main process first, so that it can't start another session
// while they are being collected.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	below := descendants(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill()
	<-p.exited
	killAll(below)
}

func (p *process) killDescendants() { killAll(descendants(p.cmd.Process.Pid)) }

func (p *process) pause() {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	for _, pid := range descendants(p.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
}

func (p *process) resume() {
	for _, pid := range descendants(p.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}

// killAll kills and waits until the processes are gone or zombies, so that
// their sockets are closed when it returns.
func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range pids {
		for deadline := time.Now().Add(5 * time.Second); alive(pid) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	_, state := stat(pid)
	return state != "Z" && state != "X" && state != ""
}

// descendants lists the processes below pid, parents first.
func descendants(pid int) []int {
	children := map[int][]int{}
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		child, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		if parent, _ := stat(child); parent > 0 {
			children[parent] = append(children[parent], child)
		}
	}
	var found []int
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		below := children[queue[0]]
		found = append(found, below...)
		queue = append(queue, below...)
	}
	return found
}

// stat returns parent and state of a process; zero values if it is gone.
func stat(pid int) (parent int, state string) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, ""
	}
	// The second field is the program's name in parentheses and may hold spaces.
	_, rest, ok := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[0]
}
