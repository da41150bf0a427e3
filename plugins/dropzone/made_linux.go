package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// madeAt returns when a file or directory was made, if the file system knows.
func madeAt(name string) (time.Time, bool) {
	var st unix.Statx_t
	err := uninterrupted(func() error { return unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_BTIME, &st) })
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, false
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)), true
}
