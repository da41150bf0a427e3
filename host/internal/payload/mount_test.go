package payload_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/payload"
)

// needMounts skips a test that mounts file systems where that is not allowed.
func needMounts(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
}

func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	needMounts(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestAFullDiskIsReportedAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	root := mountTmpfs(t, "size=1m")
	d := openDir(t, root)
	put(t, d, "exports/o/before", []byte("before"))
	_, err := d.Put(t.Context(), "exports/o/large", bytes.Repeat([]byte("x"), 2<<20))
	wantCode(t, err, "payload_store_full")
	wantGot(t, d, "exports/o/before", []byte("before"))
	put(t, d, "exports/o/after", []byte("after"))
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if got, want := files(t, root), []string{"exports/o/after", "exports/o/before"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func TestAPayloadWhoseFileDoesNotFitStaysInTheJournalUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	root := mountTmpfs(t, "size=1m")
	d := openDir(t, root)
	half := bytes.Repeat([]byte("x"), 600<<10)
	put(t, d, "exports/o/half", half) // fits once, in the journal
	if err := d.Settle(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("settle: %v, want a full disk", err)
	}
	if temps, _ := filepath.Glob(filepath.Join(root, ".tmp", "*")); len(temps) != 0 {
		t.Errorf("left behind: %q", temps)
	}
	wantGot(t, d, "exports/o/half", half)
	eventually(t, "the full disk is reported", func() bool {
		var e *fault.Error
		return errors.As(d.Check(t.Context()), &e) && e.Code == "payload_store_full"
	})
	if err := unix.Mount("", root, "", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is written", func() bool { return d.Backlog() == 0 })
	wantGot(t, d, "exports/o/half", half)
	if err := errors.Join(d.Check(t.Context()), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestAReadOnlyDiskIsReported(t *testing.T) {
	t.Parallel()
	root := mountTmpfs(t, "size=1m")
	d := openDir(t, root)
	put(t, d, "a", []byte("a"))
	d.Abandon()
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := d.Put(t.Context(), "b", []byte("b"))
	wantCode(t, err, "payload_store_read_only")
	wantGot(t, d, "a", []byte("a"))
	wantCode(t, d.Check(t.Context()), "payload_store_read_only")
}

// ext4Shutdown is EXT4_IOC_SHUTDOWN; 2 is "do not flush anything".
const (
	ext4Shutdown         = 0x8004587d
	shutdownWithoutFlush = 2
)

// TestAPowerFailure cuts a real file system off in the middle of Puts, without
// a flush, and mounts it again: every payload whose Put had returned is there.
func TestAPowerFailureLosesNothingThatWasPut(t *testing.T) {
	t.Parallel()
	needMounts(t)
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	image := filepath.Join(t.TempDir(), "disk.img")
	file, err := os.Create(image)
	if err == nil {
		err = errors.Join(file.Truncate(64<<20), file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, mkfs, "-q", image)
	disk := t.TempDir()
	mountImage(t, image, disk)

	for round := range 3 {
		d := openDir(t, filepath.Join(disk, "payloads"))
		returned := putUntilPowerFails(t, d, disk, round)
		d.Abandon()
		if err := unix.Unmount(disk, 0); err != nil {
			t.Fatal(err)
		}
		mountImage(t, image, disk)
		after := openDir(t, filepath.Join(disk, "payloads"))
		for _, key := range returned {
			wantGot(t, after, key, contentOf(key))
		}
		if len(returned) == 0 {
			t.Error("no Put returned before the power failed, so this shows nothing")
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func contentOf(key string) []byte { return []byte(strings.Repeat(key+"\n", 50)) }

// putUntilPowerFails returns the keys whose Put returned without an error before
// the power failed. While ext4 is being cut off some of its flushes still report
// success; in a power failure nobody would be left to hear that.
func putUntilPowerFails(t *testing.T, d *payload.Dir, disk string, round int) []string {
	t.Helper()
	var mu sync.Mutex
	var returned []string
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("exports/org%d/r%d_%d_%d", w%3, round, w, i)
				if _, err := d.Put(t.Context(), key, contentOf(key)); err != nil {
					return
				}
				mu.Lock()
				if returned = append(returned, key); len(returned) == 200 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select { // Puts go on meanwhile
	case <-enough:
	case <-time.After(time.Minute):
		t.Fatal("200 Puts take more than a minute")
	}
	dir, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	before := slices.Clone(returned)
	mu.Unlock()
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), ext4Shutdown, shutdownWithoutFlush); err != nil {
		t.Fatal(err)
	}
	_ = dir.Close()
	wg.Wait()
	return before
}

func mountImage(t *testing.T, image, dir string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("mounting a disk image: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}
