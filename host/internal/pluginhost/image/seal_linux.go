package image

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// mfdExec is MFD_EXEC: an executable memory file also where the system's
// default is another (Linux 6.3 and later).
const mfdExec = 0x10

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// seal copies src into a sealed memory file. Where the system forbids
// executable memory files it falls back to a private file.
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
	if _, err := unix.FcntlInt(mem.Fd(), unix.F_ADD_SEALS, allSeals); err != nil {
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

func createMemfd(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if fd, err := unix.MemfdCreate(name, flags|mfdExec); err == nil {
		return fd, nil
	}
	return unix.MemfdCreate(name, flags) // before Linux 6.3
}
