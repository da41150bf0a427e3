package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// descendants lists the ids of pid's children, their children and so on.
func descendants(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		id, parent, ok := parseStat(path)
		if ok {
			children[parent] = append(children[parent], id)
		}
	}
	var all []int
	queue := []int{pid}
	for len(queue) > 0 {
		kids := children[queue[0]]
		queue = append(queue[1:], kids...)
		all = append(all, kids...)
	}
	return all
}

func parseStat(path string) (pid, parent int, ok bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, false
	}
	// "pid (command) state parent …"; the command may hold spaces and brackets.
	end := strings.LastIndexByte(string(raw), ')')
	if end < 0 {
		return 0, 0, false
	}
	fields := strings.Fields(string(raw)[end+1:])
	pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	parent, err2 := strconv.Atoi(fields[1])
	return pid, parent, err1 == nil && err2 == nil
}

// ChildrenNamed lists the descendants of pid whose command line contains part.
func ChildrenNamed(pid int, part string) []int {
	var found []int
	for _, child := range descendants(pid) {
		if CommandOf(child, part) {
			found = append(found, child)
		}
	}
	return found
}

// CommandOf reports whether pid runs and its command line contains part.
func CommandOf(pid int, part string) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(raw), part)
}

// ResidentBytes returns the resident memory of pid, in bytes; 0 if it is gone.
func ResidentBytes(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// CPUTime returns the processor time that pid has used; 0 if it is gone.
func CPUTime(pid int) time.Duration { return sumTicks(pid, 11, 12) }

// TreeCPUTime is CPUTime of pid, its living descendants and those that have
// ended.
func TreeCPUTime(pid int) time.Duration {
	sum := sumTicks(pid, 11, 12, 13, 14)
	for _, child := range descendants(pid) {
		sum += sumTicks(child, 11, 12, 13, 14)
	}
	return sum
}

// sumTicks adds up fields of /proc/PID/stat, counted from the state as 0.
func sumTicks(pid int, fields ...int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	values := strings.Fields(string(raw)[strings.LastIndexByte(string(raw), ')')+1:])
	var ticks int64
	for _, field := range fields {
		value, _ := strconv.ParseInt(values[field], 10, 64)
		ticks += value
	}
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux that Go runs on
	return time.Duration(ticks) * time.Second / ticksPerSecond
}
