//go:build unix

package lock

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockDir keeps two writers of one lock file apart. The lock is on the
// directory itself, so that it leaves no file behind.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		d.Close()
		return nil, &os.PathError{Op: "flock", Path: dir, Err: err}
	}
	return func() { d.Close() }, nil
}
