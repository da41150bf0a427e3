package payload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/payload"
)

func settle(t *testing.T, d *payload.Dir) {
	t.Helper()
	if err := d.Settle(); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

// eventually waits for what a goroutine does in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestPayloadsBecomeFilesByThemselves(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	for i := range 1000 {
		put(t, d, fmt.Sprintf("exports/o/%d", i), []byte("x"))
	}
	eventually(t, "all are files", func() bool { return d.Backlog() == 0 })
	found, err := os.ReadDir(filepath.Join(root, "exports", "o"))
	if err != nil || len(found) != 1000 {
		t.Errorf("%d files, %v", len(found), err)
	}
}

func TestWhatIsNotYetAFileIsReadByThisAndByOtherProcesses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, other := openDir(t, root), openDir(t, root)
	put(t, d, "exports/o/a", []byte("a file"))
	settle(t, d)
	put(t, d, "exports/o/a", []byte("journal"))
	put(t, d, "exports/o/b", []byte("only in the journal"))
	for name, s := range map[string]payload.Store{"this": d, "other": other} {
		t.Run(name, func(t *testing.T) {
			wantGot(t, s, "exports/o/a", []byte("journal"))
			wantGot(t, s, "exports/o/b", []byte("only in the journal"))
			_, _, err := s.Get(t.Context(), "exports/o/c")
			wantCode(t, err, "payload_not_found")
		})
	}
}

func TestAPutThatBecomesAFileLateDoesNotReplaceALaterOne(t *testing.T) {
	t.Parallel()
	for name, inOrder := range map[string]func(first, later *payload.Dir) []*payload.Dir{
		"the later is a file first": func(first, later *payload.Dir) []*payload.Dir { return []*payload.Dir{later, first} },
		"the first is a file first": func(first, later *payload.Dir) []*payload.Dir { return []*payload.Dir{first, later} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			first, later := openDir(t, root), openDir(t, root)
			put(t, first, "a", []byte("first"))
			put(t, later, "a", []byte("later"))
			for _, d := range inOrder(first, later) {
				settle(t, d)
				wantGot(t, first, "a", []byte("later"))
				wantGot(t, later, "a", []byte("later"))
			}
			if data, err := os.ReadFile(filepath.Join(root, "a")); string(data) != "later" {
				t.Errorf("the file has %q, %v", data, err)
			}
		})
	}
}

func TestAFileThatCannotBeWrittenIsReportedAndWrittenLater(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	inTheWay := filepath.Join(root, "exports")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, d, "exports/o/a", []byte("a"))
	eventually(t, "it is reported", func() bool { return d.Check(t.Context()) != nil })
	wantGot(t, d, "exports/o/a", []byte("a"))
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is a file", func() bool { return d.Backlog() == 0 })
	if err := errors.Join(d.Check(t.Context()), d.Close()); err != nil {
		t.Error(err)
	}
	if got := files(t, root); !slices.Equal(got, []string{"exports/o/a"}) {
		t.Errorf("files %q", got)
	}
}

func TestWhereFilesCannotBeWrittenTheJournalsAreBounded(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := payload.OpenDirWithLimit(root, 1) // each Put fills a journal
	if err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(root, "exports")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var puts []string
	eventually(t, "a Put fails", func() bool {
		key := fmt.Sprintf("exports/o/%d", len(puts))
		if _, err := d.Put(t.Context(), key, []byte(key)); err != nil {
			wantCode(t, err, "payload_store_unavailable")
			return true
		}
		puts = append(puts, key)
		return len(puts) > 1000
	})
	if len(puts) > 1000 {
		t.Fatal("Puts go on for ever")
	}
	if err := d.Close(); err == nil {
		t.Error("close does not say that payloads are not files")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	after := openDir(t, root)
	for _, key := range puts {
		wantGot(t, after, key, []byte(key))
	}
	if _, err := os.Stat(filepath.Join(root, "exports/o/0")); errors.Is(err, fs.ErrNotExist) {
		t.Error("the next opening did not write the files")
	}
}

// TestAProcessThatIsStoppedWhileItWritesFilesHoldsNobodyUp has another process
// hold the lock under which files are written, for as long as it likes.
func TestAProcessThatIsStoppedWhileItWritesFilesHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dead := openDir(t, root)
	put(t, dead, "exports/o/of-the-dead", []byte("x"))
	dead.Abandon()
	letGo := holdPublishing(t, root)

	const limit = 1000
	d, err := payload.OpenDirWithLimit(root, limit)
	if err != nil {
		t.Fatal(err)
	}
	wantGot(t, d, "exports/o/of-the-dead", []byte("x"))
	big := bytes.Repeat([]byte("x"), limit)
	for i := range 10 { // more than there may be journals whose files can't be written
		put(t, d, fmt.Sprintf("exports/o/%d", i), big)
		wantGot(t, d, fmt.Sprintf("exports/o/%d", i), big)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	again := openDir(t, root)
	put(t, again, "exports/o/last", []byte("x"))
	if got, err := filepath.Glob(filepath.Join(root, "exports/o/*")); err != nil || len(got) != 0 {
		t.Fatalf("files %q (%v), while another process writes", got, err)
	}

	letGo()
	eventually(t, "all are files, and the only journal is the living one's", func() bool {
		journals, err := filepath.Glob(filepath.Join(root, ".journal/*"))
		written, globErr := filepath.Glob(filepath.Join(root, "exports/o/*"))
		return errors.Join(err, globErr) == nil && len(journals) == 1 && len(written) == 12
	})
	if err := again.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// holdPublishing locks a store as a process does that writes files.
func holdPublishing(t *testing.T, root string) (letGo func()) {
	t.Helper()
	dir, err := os.Open(filepath.Join(root, ".tmp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	return func() { _ = dir.Close() }
}
