package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// startWriting asks the system to begin to write a file's content, and does not
// wait for the end. What it reports the flush that follows may not report again:
// content for which the disk has no room is dropped.
func startWriting(fd int) error {
	err := uninterrupted(func() error { return unix.SyncFileRange(fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return nil // not here; nothing was begun
	}
	return err
}
