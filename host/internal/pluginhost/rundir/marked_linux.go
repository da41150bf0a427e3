package rundir

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// MarkerEnv is the variable that every connector process, and what it starts,
// carries: the folder of its socket.
const MarkerEnv = "PLUGIN_UNIX_SOCKET_DIR"

// KillMarked kills every process of this user whose environment says that its
// socket lies in dir or below, and returns how many it found. It is how
// children of a connector are found that left its process group, or that
// outlived the host.
func KillMarked(dir string) int {
	if dir == "" {
		return 0 // everybody's sockets lie below
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	killed := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !marked(pid, dir) {
			continue
		}
		if killIfMarked(pid, dir) {
			killed++
		}
	}
	return killed
}

// killIfMarked looks again after it holds on to the process, since the number
// may have passed to another one in between.
func killIfMarked(pid int, dir string) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return marked(pid, dir) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

func marked(pid int, dir string) bool {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false
	}
	want := []byte(MarkerEnv + "=" + dir)
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if rest, ok := bytes.CutPrefix(v, want); ok && (len(rest) == 0 || rest[0] == '/') {
			return true
		}
	}
	return false
}
