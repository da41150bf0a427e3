package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNoReplace renames unless the new name exists. Its error wraps
// errors.ErrUnsupported where kernel or file system can't.
func renameNoReplace(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return errors.ErrUnsupported
	}
	return err
}
