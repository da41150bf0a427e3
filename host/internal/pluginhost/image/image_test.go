package image_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/pluginhost/image"
)

// run executes an image the way the launcher does and returns its output.
func run(t *testing.T, img *image.Image) string {
	t.Helper()
	file, path := img.File(3)
	cmd := &exec.Cmd{Path: path, Args: []string{"x"}}
	if file != nil {
		cmd.ExtraFiles = []*os.File{file}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestWhatWasHashedIsWhatRuns(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string){
		"left alone": func(*testing.T, string) {},
		"swapped": func(t *testing.T, path string) {
			other := path + ".other"
			os.WriteFile(other, []byte("#!/bin/sh\necho evil\n"), 0o755)
			if err := os.Rename(other, path); err != nil {
				t.Fatal(err)
			}
		},
		"rewritten in place": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(_ *testing.T, path string) { os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "script")
			content := []byte("#!/bin/sh\necho good\n")
			os.WriteFile(path, content, 0o755)
			img, err := image.Load(path, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if want := fmt.Sprintf("%x", sha256.Sum256(content)); img.SHA256 != want || img.Size != int64(len(content)) {
				t.Errorf("digest %s size %d", img.SHA256, img.Size)
			}
			spoil(t, path)
			for range 2 {
				if out := run(t, img); out != "good\n" {
					t.Errorf("it printed %q", out)
				}
			}
		})
	}
}

func TestNobodyCanChangeTheCopy(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "true")
	os.WriteFile(path, src, 0o755)
	img, err := image.Load(path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	file, _ := img.File(3)
	if file == nil {
		t.Skip("no memory files here")
	}
	if _, err := file.Write([]byte("x")); err == nil {
		t.Error("the descriptor that connectors inherit can be written")
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), os.O_RDWR, 0)
	if err == nil {
		if _, err := again.Write([]byte("x")); !errors.Is(err, unix.EPERM) {
			t.Errorf("writing to the sealed copy: %v", err)
		}
		if err := again.Truncate(0); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncating the sealed copy: %v", err)
		}
		again.Close() // nobody can run what somebody may write
	}
	run(t, img)
}

func TestFilesThatCanNotRunAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, []byte("x"), 0o644)
	for _, path := range []string{plain, dir} {
		if _, err := image.Load(path, dir); !errors.Is(err, image.ErrNotExecutable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := image.Load(filepath.Join(dir, "none"), dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
