package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAPowerFailureLosesNoFlushedFile cuts a real file system off, without a
// flush, while many files are written, and mounts it again: every file whose
// content and name had been flushed is there.
func TestAPowerFailureLosesNoFlushedFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	for name, options := range map[string][]string{"with a journal": nil, "without": {"-O", "^has_journal"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := diskImage(t, t.TempDir(), 64<<20, options...)
			disk := mountImage(t, image)
			w := startWriters(disk)
			eventually(t, "files are flushed", func() bool { return len(w.snapshot()) >= 500 })
			flushed := w.snapshot() // while ext4 is being cut off, some flushes still report success
			powerFails(t, disk)
			w.running.Wait()
			eventually(t, "nobody has a file open", func() bool { return unix.Unmount(disk, 0) == nil })
			wantFiles(t, mountImage(t, image), flushed)
		})
	}
}

// writers create files until that fails. Every second one renames its files.
type writers struct {
	running sync.WaitGroup
	rounds  rounds
	disk    string

	mu      sync.Mutex
	flushed map[string][]byte // guarded by mu; by path on the disk
}

func startWriters(disk string) *writers {
	w := &writers{disk: disk, flushed: map[string][]byte{}}
	target := newFilesystem(config{}, &w.rounds)
	for id := range 32 {
		w.running.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d", id, i)
				data := bytes.Repeat([]byte(name+"\n"), 300)
				if _, err := target.Stage(context.Background(), disk, name, data)(); err != nil {
					return
				}
				if id%2 == 1 {
					staged := name
					name += ".json"
					if target.Publish(context.Background(), disk, staged, name) != nil {
						return
					}
				}
				w.mu.Lock()
				w.flushed[name] = data
				w.mu.Unlock()
			}
		})
	}
	return w
}

func (w *writers) snapshot() map[string][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.flushed)
}

func wantFiles(t *testing.T, disk string, want map[string][]byte) {
	t.Helper()
	for name, want := range want {
		if got, err := os.ReadFile(filepath.Join(disk, name)); !bytes.Equal(got, want) {
			t.Errorf("%s was flushed, but has %d of %d bytes (%v)", name, len(got), len(want), err)
		}
	}
}

// diskImage makes a file that holds an empty ext4.
func diskImage(t *testing.T, dir string, size int64, options ...string) string {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	image := filepath.Join(dir, "disk.img")
	noErr(t, os.WriteFile(image, nil, 0o600))
	noErr(t, os.Truncate(image, size))
	out, err := exec.Command(mkfs, append(options, "-q", image)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return image
}

func mountImage(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("mounting a disk image: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// powerFails ends all writing to an ext4, as a power failure does.
func powerFails(t *testing.T, disk string) {
	t.Helper()
	const ext4Shutdown, withoutFlush = 0x8004587d, 2
	dir, err := os.Open(disk)
	noErr(t, err)
	defer dir.Close()
	noErr(t, unix.IoctlSetPointerInt(int(dir.Fd()), ext4Shutdown, withoutFlush))
}
