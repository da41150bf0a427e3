package image

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pinned makes a memory file with a page that a pipe holds until release is
// called, as the kernel holds one while it moves memory.
func pinned(t *testing.T) (file *os.File, release func()) {
	t.Helper()
	fd, err := unix.MemfdCreate("pinned", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	file = os.NewFile(uintptr(fd), "pinned")
	t.Cleanup(func() { _ = file.Close() })
	if _, err := file.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _, _ = r.Close(), w.Close() }
	t.Cleanup(release)
	var from int64
	if n, err := unix.Splice(fd, &from, int(w.Fd()), nil, 4096, 0); err != nil || n != 4096 {
		t.Fatalf("splice: %d bytes, %v", n, err)
	}
	return file, release
}

func TestSealingWaitsForPagesThatAreInUse(t *testing.T) {
	t.Parallel()
	file, release := pinned(t)
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, allSeals); !errors.Is(err, unix.EBUSY) {
		t.Fatalf("sealed with a page in use: %v", err)
	}
	time.AfterFunc(200*time.Millisecond, release) // longer than the kernel waits
	if err := addSeals(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
}
