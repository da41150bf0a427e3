// Package procfs looks at a running process from outside, through /proc.
package procfs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process holds at one moment.
type Usage struct {
	State       string // the kernel's letter
	Descriptors int
	Sockets     int
	Threads     int
	Resident    int64         // bytes
	Processor   time.Duration // used since its start
}

// clockTick is Linux's unit of processor time towards programs, on every
// architecture that Go knows.
const clockTick = 10 * time.Millisecond

// Measure returns what pid holds. The error wraps fs.ErrNotExist if it is gone.
func Measure(pid int) (Usage, error) {
	var u Usage
	descriptors, err := os.ReadDir(path(pid, "fd"))
	if err != nil {
		return u, fmt.Errorf("look at process %d: %w", pid, err)
	}
	u.Descriptors = len(descriptors)
	for _, d := range descriptors {
		if link, err := os.Readlink(path(pid, "fd", d.Name())); err == nil && strings.HasPrefix(link, "socket:") {
			u.Sockets++
		}
	}
	fields, err := stat(pid)
	if err != nil {
		return u, err
	}
	u.State = fields[0]
	u.Threads, _ = strconv.Atoi(fields[17])
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	u.Resident = pages * int64(os.Getpagesize())
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	u.Processor = time.Duration(user+system) * clockTick
	return u, nil
}

// Doing says in words what pid is at: its state and the processor time that it
// has used.
func Doing(pid int) string {
	usage, err := Measure(pid)
	if err != nil {
		return err.Error()
	}
	words := map[string]string{"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "Z": "dead"}
	state := cmp.Or(words[usage.State], "in state "+usage.State)
	return fmt.Sprintf("process %d is %s and has used %v of processor time", pid, state, usage.Processor)
}

// stat returns the fields of /proc/PID/stat from the third one on.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(path(pid, "stat"))
	if err != nil {
		return nil, fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses and may hold any.
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 22 {
		return nil, fmt.Errorf("look at process %d: its stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// Texts returns everything that anybody on the machine may read about a
// process: environment, command line, and the names of its threads, by place.
func Texts(pid int) map[string][]byte {
	texts := map[string][]byte{}
	for _, name := range []string{"environ", "cmdline", "comm"} {
		if data, err := os.ReadFile(path(pid, name)); err == nil {
			texts[name] = data
		}
	}
	threads, _ := filepath.Glob(path(pid, "task", "*", "comm"))
	for _, file := range threads {
		if data, err := os.ReadFile(file); err == nil {
			texts["thread "+filepath.Base(filepath.Dir(file))] = data
		}
	}
	return texts
}

// CoreLimit returns the size of core dump that the process may leave, as
// /proc/PID/limits has it: a number or "unlimited".
func CoreLimit(pid int) string {
	data, _ := os.ReadFile(path(pid, "limits"))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				return fields[0]
			}
		}
	}
	return ""
}

// Alive says whether pid is a process that runs: a zombie does not.
func Alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	fields, err := stat(pid)
	return err == nil && fields[0] != "Z" && fields[0] != "X"
}

// Descendants lists the processes below pid, parents first.
func Descendants(pid int) []int {
	children := map[int][]int{}
	for other, fields := range all() {
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], other)
	}
	var found []int
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		found = append(found, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return found
}

// Group lists the live processes of a process group.
func Group(pgid int) []int {
	var found []int
	for pid, fields := range all() {
		if group, _ := strconv.Atoi(fields[2]); group == pgid && fields[0] != "Z" && fields[0] != "X" {
			found = append(found, pid)
		}
	}
	return found
}

func all() map[int][]string {
	processes := map[int][]string{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if fields, err := stat(pid); err == nil {
				processes[pid] = fields
			}
		}
	}
	return processes
}

func path(pid int, elements ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, elements...)...)
}
