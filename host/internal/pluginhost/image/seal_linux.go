package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mfdExec is MFD_EXEC: an executable memory file also where the system's
// default is another (Linux 6.3 and later).
const mfdExec = 0x10

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Sealing is refused while the kernel itself holds a page of the file, as it
// does for a moment when it reclaims or moves memory.
const (
	sealTries = 5
	sealPause = 20 * time.Millisecond // doubled each time; the kernel waits some 150 ms, too
)

// seal copies src into a sealed memory file. Where the system forbids
// executable memory files, or does not let go of one, it falls back to a
// private file.
func seal(src io.ReadSeeker, name, dir string) (*Image, error) {
	fd, err := createMemfd(name)
	if err != nil {
		return copyToFile(src, dir)
	}
	mem := os.NewFile(uintptr(fd), "memfd:"+name)
	defer mem.Close()
	sum, size, err := transfer(mem, src)
	if err != nil {
		return nil, err
	}
	if err := mem.Chmod(0o500); err != nil {
		return nil, fmt.Errorf("protect memory file: %w", err)
	}
	if err := addSeals(fd); errors.Is(err, unix.EBUSY) {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return copyToFile(src, dir)
	} else if err != nil {
		return nil, fmt.Errorf("seal memory file: %w", err)
	}
	// A descriptor of its own without write permission: it is what the
	// connector inherits.
	ro, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, fmt.Errorf("reopen memory file: %w", err)
	}
	return &Image{SHA256: sum, Size: size, file: ro}, nil
}

func addSeals(fd int) error {
	for try := 1; ; try++ {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
		if !errors.Is(err, unix.EBUSY) || try == sealTries {
			return err
		}
		time.Sleep(sealPause << (try - 1))
	}
}

func createMemfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if fd, err := unix.MemfdCreate(name, flags|mfdExec); err == nil {
		return fd, nil
	}
	return unix.MemfdCreate(name, flags) // before Linux 6.3
}
