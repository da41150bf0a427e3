package payload_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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
