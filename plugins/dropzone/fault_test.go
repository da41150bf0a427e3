package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/sdktest"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// smallDisk mounts a disk of a few pages, which only root may do.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a full disk takes root, who may mount one")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a full disk takes a mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestFullDiskIsThrottledAndPasses(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	for name, fieldsAt := range map[string]func(t *testing.T, dir string) fields{
		"directory": func(_ *testing.T, dir string) fields { return filesystemFields(dir) },
		"OpenSSH": func(t *testing.T, dir string) fields {
			return sftpFields(sshtest.Run(t, sshtest.Options{})).with("export_path", dir)
		},
		"ProFTPD": func(t *testing.T, dir string) fields {
			return sftpFields(sshtest.Run(t, sshtest.Options{Kind: sshtest.ProFTPD})).with("export_path", dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(disk, name)
			noErr(t, os.Mkdir(dir, 0o777))
			filler := filepath.Join(disk, "filler")
			_ = os.WriteFile(filler, make([]byte, 128<<10), 0o600) // until it is full
			host := sdktest.New(t, newConnector())
			export := host.NewExport(fieldsAt(t, dir).json(), sdktest.SampleOrder())
			result, err := export.Run(t.Context())
			noErr(t, err)
			wantCode(t, result.GetError(), connectorv1.ErrorCode_ERROR_CODE_THROTTLED, true)
			if !strings.Contains(result.GetError().GetMessage(), "no space left") || result.GetError().GetRetryAfter() == nil {
				t.Errorf("error %v", result.GetError())
			}
			wantNames(t, dir)
			response, err := host.TestConnection(t.Context(), export.Config)
			noErr(t, err)
			wantCode(t, response.GetError(), connectorv1.ErrorCode_ERROR_CODE_THROTTLED, true)
			wantNames(t, dir)
			noErr(t, os.Remove(filler))
			wantDelivered(t, export, dir, run(t, export))
			noErr(t, os.RemoveAll(dir))
		})
	}
}

func TestRenameWithoutTheSystemCallRefusesToReplaceToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a", "ours")
	writeFile(t, dir+"/b", "theirs")
	wantIs(t, linkAndUnlink(dir+"/a", dir+"/b"), os.ErrExist)
	wantFile(t, dir+"/b", []byte("theirs"))
	noErr(t, linkAndUnlink(dir+"/a", dir+"/c"))
	wantNames(t, dir, "b", "c")
	wantIs(t, linkAndUnlink(dir+"/a", dir+"/d"), os.ErrNotExist)
}

// TestTargetThatHangsDoesNotHoldACall writes into a pipe that nobody reads, as
// a share whose server is gone would behave.
func TestTargetThatHangsDoesNotHoldACall(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	noErr(t, unix.Mkfifo(pipe, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := newFilesystem(config{}, &rounds{}).Read(ctx, pipe, 10)
	wantIs(t, err, context.DeadlineExceeded)
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	// Lets the reader go that nobody waits for.
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	noErr(t, err)
	noErr(t, w.Close())
}

// TestRealOrdersArriveWholeUnderAReader sends all real orders while a reader
// looks at the directory all the time, as a consumer would.
func TestRealOrdersArriveWholeUnderAReader(t *testing.T) {
	t.Parallel()
	orders := realOrders(t)
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		f := fieldsOf(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		seen := make(chan map[string]bool)
		go func() { seen <- pollFiles(ctx, t, dir) }()

		c := newConnector()
		next := make(chan int, len(orders))
		for i := range orders {
			next <- i
		}
		close(next)
		start := time.Now()
		var wg sync.WaitGroup
		for range 16 {
			host := sdktest.New(t, c)
			wg.Go(func() {
				for i := range next {
					export := host.NewExport(f.json(), orders[i])
					export.ID = exportID(i)
					if result, err := export.Run(t.Context()); err != nil || !result.GetSuccess() {
						t.Errorf("order %d: %v, %v", i, err, result)
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(start)
		cancel()
		polled := <-seen
		final := names(t, dir)
		for _, name := range final {
			if strings.HasSuffix(name, ".tmp") {
				t.Errorf("%s is left", name)
			}
		}
		if len(final) != len(orders) {
			t.Errorf("%d files for %d orders", len(final), len(orders))
		}
		t.Logf("%d orders in %v, %.0f/s; the reader saw %d of them arrive",
			len(orders), took.Round(time.Millisecond), float64(len(orders))/took.Seconds(), len(polled))
	})
}

// pollFiles reads each file as soon as it shows and fails on one that is not
// whole.
func pollFiles(ctx context.Context, t *testing.T, dir string) map[string]bool {
	seen := map[string]bool{}
	for ctx.Err() == nil {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
			return seen
		}
		for _, entry := range entries {
			name := entry.Name()
			if seen[name] || !strings.HasSuffix(name, ".json") {
				continue
			}
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !json.Valid(content) || content[len(content)-1] != '\n' {
				t.Errorf("the reader sees %s with %d bytes, %v", name, len(content), err)
			}
			seen[name] = true
		}
	}
	return seen
}

// TestBinaryServesAndRefusesToRunAlone builds what is shipped.
func TestBinaryServesAndRefusesToRunAlone(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "orderport-connector-dropzone")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err == nil || len(out) == 0 {
		t.Errorf("without a host it ended with %v and said %q", err, out)
	}
}
