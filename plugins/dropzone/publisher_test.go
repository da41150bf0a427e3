package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/orderport/orderport/sdk/hands"
	"github.com/orderport/orderport/sdk/sdktest"
)

// TestPublisher is the suite that every publisher passes.
func TestPublisher(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, p publisher, dir string){
		"many stage and publish at one time":     testStageAndPublish,
		"staging never touches an existing file": testStageExisting,
		"publishing never replaces":              testPublishExisting,
		"publishing a missing file says so":      testPublishMissing,
		"a missing directory is told apart":      testPublisherMissingDirectory,
		"a large file arrives whole":             testStageLarge,
		"an ended context ends every call":       testPublisherEndedContext,
	}
	run := func(t *testing.T, p publisher, root string) {
		for name, test := range cases {
			t.Run(name, func(t *testing.T) {
				dir, err := os.MkdirTemp(root, "case-")
				noErr(t, err)
				test(t, p, dir)
			})
		}
	}
	eachBackend(t, func(t *testing.T, cfg config, root string) {
		tg := openTarget(t, cfg)
		run(t, publisherOf(tg, &hands.Pool{}), root)
		if cfg.Mode == modeFilesystem {
			t.Run("step by step", func(t *testing.T) { run(t, stepByStep{tg, &hands.Pool{}}, root) })
		}
	})
}

func testStageAndPublish(t *testing.T, p publisher, dir string) {
	want, err := p.Identity(t.Context(), dir)
	noErr(t, err)
	together(64, func(i int) {
		name := fmt.Sprint(i)
		identity, err := p.Stage(t.Context(), dir, name+".tmp", []byte(name))()
		if err != nil || identity != want {
			t.Errorf("staged in %q (%v), want %q", identity, err, want)
		}
		wantFile(t, filepath.Join(dir, name+".tmp"), []byte(name))
		if err := p.Publish(t.Context(), dir, name+".tmp", name); err != nil {
			t.Error(err)
		}
		wantFile(t, filepath.Join(dir, name), []byte(name))
	})
	if n := len(names(t, dir)); n != 64 {
		t.Errorf("%d files", n)
	}
}

func testStageExisting(t *testing.T, p publisher, dir string) {
	writeFile(t, dir+"/a", "theirs")
	_, err := p.Stage(t.Context(), dir, "a", []byte("ours"))()
	wantIs(t, err, fs.ErrExist)
	wantFile(t, dir+"/a", []byte("theirs"))
}

func testPublishExisting(t *testing.T, p publisher, dir string) {
	writeFile(t, dir+"/a", "ours")
	writeFile(t, dir+"/b", "theirs")
	wantIs(t, p.Publish(t.Context(), dir, "a", "b"), fs.ErrExist)
	wantFile(t, dir+"/a", []byte("ours"))
	wantFile(t, dir+"/b", []byte("theirs"))
}

func testPublishMissing(t *testing.T, p publisher, dir string) {
	wantIs(t, p.Publish(t.Context(), dir, "a", "b"), fs.ErrNotExist)
}

func testPublisherMissingDirectory(t *testing.T, p publisher, dir string) {
	gone := dir + "/gone"
	_, err := p.Stage(t.Context(), gone, "a", []byte("x"))()
	wantIs(t, err, fs.ErrNotExist)
	wantIs(t, p.Publish(t.Context(), gone, "a", "b"), fs.ErrNotExist)
}

func testStageLarge(t *testing.T, p publisher, dir string) {
	content := make([]byte, 4*short+1)
	for i := range content {
		content[i] = byte(i >> 8)
	}
	_, err := p.Stage(t.Context(), dir, "a", content)()
	noErr(t, err)
	wantFile(t, dir+"/a", content)
}

func testPublisherEndedContext(t *testing.T, p publisher, dir string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	writeFile(t, dir+"/a", "x")
	_, err := p.Stage(ctx, dir, "new", []byte("x"))()
	wantIs(t, err, context.Canceled)
	wantIs(t, p.Publish(ctx, dir, "a", "b"), context.Canceled)
	wantNames(t, dir, "a")
}

func TestAStageThatIsNotDurableLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := errors.New("broken")
	target := newFilesystem(config{}, &rounds{flushDir: func(string) error { return broken }})
	_, err := target.Stage(t.Context(), dir, "a", []byte("x"))()
	wantIs(t, err, broken)
	wantNames(t, dir)
}

func TestAFlushOfAFileThatFailsIsReported(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"", "x"} {
		file := &localFile{name: "a", fd: -1, rest: []byte(rest)}
		wantIs(t, file.flush(), syscall.EBADF)
	}
}

// An attempt that is cut off while its file is on the way removes it, and does so
// before the call ends.
func TestACancelledAttemptLeavesNoFile(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} {
		t.Run(fmt.Sprintf("directory held %v", held), func(t *testing.T) {
			t.Parallel()
			for range 20 {
				dir := t.TempDir()
				release := make(chan struct{})
				c := newConnector()
				ctx, cancel := context.WithCancel(t.Context())
				flushed := make(chan struct{}, 8)
				c.rounds.flushDir = func(string) error {
					flushed <- struct{}{}
					if held {
						<-release
					}
					return nil
				}
				export := sdktest.New(t, c).NewExport(filesystemFields(dir).json(), sdktest.SampleOrder())
				export.OnPayload = func(int) sdktest.Fault {
					<-flushed // the file is there
					cancel()
					return sdktest.CutBefore
				}
				if _, err := export.Run(ctx); err == nil {
					t.Error("the attempt was not cut off")
				}
				close(release)
				eventually(t, "the file is removed", func() bool { return len(names(t, dir)) == 0 })
			}
		})
	}
}

// The session is dead at first, and then the directory can't be flushed.
func TestAFileThatWasWrittenAgainAndNotFlushedIsRemoved(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, cfg config, dir string) {
		c := newConnector()
		creates := 0
		c.openFaulty(func(op string) error {
			switch {
			case op == "create":
				if creates++; creates == 1 {
					return errLost
				}
			case op == "flush":
				return fs.ErrPermission
			}
			return nil
		})
		result, err := sdktest.New(t, c).NewExport(fieldsOf(t, cfg).json(), sdktest.SampleOrder()).Run(t.Context())
		noErr(t, err)
		if result.GetSuccess() {
			t.Error("delivered without a flush")
		}
		wantNames(t, dir)
	})
}
