package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// smallDisk is a folder on a file system of its own, so that it can be filled.
// Only root can have one; others go without that fault.
type smallDisk struct {
	dir     string
	mounted bool
}

// mount puts a file system under the folder, which must be empty.
func (d *smallDisk) mount(size string) {
	if os.Geteuid() != 0 {
		fmt.Println("torture: not root, so no disk is filled")
		return
	}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "mode=755,size="+size); err != nil {
		fmt.Printf("torture: can't mount a small file system (%v), so no disk is filled\n", err)
		return
	}
	d.mounted = true
}

// fill uses up all room, and returns what gives it back.
func (d *smallDisk) fill() (give func() error, err error) {
	ballast := filepath.Join(d.dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return nil, err
	}
	chunk := make([]byte, 64<<10)
	for size := len(chunk); size > 0; {
		if _, err := f.Write(chunk[:size]); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			break
		}
	}
	_ = f.Close()
	return func() error { return os.Remove(ballast) }, nil
}

func (d *smallDisk) unmount() {
	if d.mounted {
		_ = syscall.Unmount(d.dir, syscall.MNT_DETACH)
	}
}
