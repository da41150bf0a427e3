package payload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/payload"
)

func openDir(t *testing.T, path string) *payload.Dir {
	t.Helper()
	d, err := payload.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// files lists the files below root, by path from root.
func files(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAClosedStoreHasNothingButPayloads(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	put(t, d, "exports/o/a", []byte("a"))
	if err := errors.Join(d.Check(t.Context()), d.Close()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, root); !slices.Equal(got, []string{"exports/o/a"}) {
		t.Errorf("files %q", got)
	}
}

func TestPayloadsAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "new", "payloads")
	d := openDir(t, root)
	put(t, d, "exports/o/a", []byte("a"))
	settle(t, d)
	for path, mode := range map[string]fs.FileMode{
		"": 0o700, "exports": 0o700, "exports/o": 0o700, "exports/o/a": 0o600, ".tmp": 0o700, ".journal": 0o700,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: mode %v, %v", path, info.Mode(), err)
		}
	}
	journals, _ := filepath.Glob(filepath.Join(root, ".journal", "*"))
	if len(journals) != 1 {
		t.Fatalf("journals %q", journals)
	}
	if info, err := os.Stat(journals[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal: mode %v, %v", info.Mode(), err)
	}
}

func TestAFileURLIsADirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, open(t, "file://"+root), "a", []byte("a"))
	wantGot(t, open(t, root), "a", []byte("a"))
}

func TestALocationThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"", "gs://bucket", "https://host/x", "file://host/path", "file://", "file:///a?x=1", "s3://", "s3://key:secret@bucket",
		"s3://bucket/path", "s3://bucket?no_such_parameter=1", "s3://%zz", "mem://",
	} {
		_, err := payload.Open(t.Context(), location)
		wantCode(t, err, "invalid_payload_url")
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", location, err)
		}
	}
}

// TestAMachineCrash stands for a power failure: of the files that were not
// flushed any may be missing, empty, or the one before.
func TestAMachineCrashLosesNothingThatWasPut(t *testing.T) {
	t.Parallel()
	damage := map[string]func(path string) error{
		"the file is missing": os.Remove,
		"the file is empty": func(path string) error {
			return damageKeepingTime(path, nil)
		},
		"the file has zeros": func(path string) error {
			return damageKeepingTime(path, make([]byte, 3))
		},
		"the file is the one before": func(path string) error {
			before := time.Now().Add(-time.Minute)
			return errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Chtimes(path, before, before))
		},
		"the folder is missing": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"nothing is missing":    func(string) error { return nil },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			d := openDir(t, root)
			put(t, d, "exports/o/a", []byte("one"))
			put(t, d, "exports/o/a", []byte("two"))
			settle(t, d)
			d.Abandon()
			if err := harm(filepath.Join(root, "exports/o/a")); err != nil {
				t.Fatal(err)
			}
			wantGot(t, openDir(t, root), "exports/o/a", []byte("two"))
			if got := files(t, root); !slices.Equal(got, []string{"exports/o/a"}) {
				t.Errorf("files %q", got)
			}
		})
	}
}

func damageKeepingTime(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

// onlyJournal returns the path of the one journal of a store.
func onlyJournal(t *testing.T, root string) string {
	t.Helper()
	journals, err := filepath.Glob(filepath.Join(root, ".journal", "*"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals %q, %v", journals, err)
	}
	return journals[0]
}

func TestAJournalThatIsCutAnywhereGivesItsWholeRecords(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	put(t, d, "a", []byte("first"))
	info, err := os.Stat(onlyJournal(t, root))
	if err != nil {
		t.Fatal(err)
	}
	firstEnd := int(info.Size())
	put(t, d, "b", []byte("second"))
	whole, err := os.ReadFile(onlyJournal(t, root))
	if err != nil {
		t.Fatal(err)
	}
	d.Abandon()
	for n := range len(whole) + 1 {
		crashed := t.TempDir()
		writeJournal(t, crashed, whole[:n])
		after := openDir(t, crashed)
		want := []string{}
		if n >= firstEnd {
			want = append(want, "a")
		}
		if n == len(whole) {
			want = append(want, "b")
		}
		if got := files(t, crashed); !slices.Equal(got, want) {
			t.Fatalf("%d of %d bytes: files %q, want %q", n, len(whole), got, want)
		}
		if n >= firstEnd {
			wantGot(t, after, "a", []byte("first"))
		}
	}
}

func TestAJournalWithAChangedByteGivesNothingChanged(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	put(t, d, "a", []byte("first"))
	whole, err := os.ReadFile(onlyJournal(t, root))
	if err != nil {
		t.Fatal(err)
	}
	d.Abandon()
	for i := len("opayjnl1"); i < len(whole); i++ {
		crashed := t.TempDir()
		changed := bytes.Clone(whole)
		changed[i] ^= 0x40
		writeJournal(t, crashed, changed)
		openDir(t, crashed)
		if got := files(t, crashed); len(got) != 0 {
			t.Fatalf("byte %d: files %q", i, got)
		}
	}
}

func writeJournal(t *testing.T, root string, data []byte) {
	t.Helper()
	dir := filepath.Join(root, ".journal")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "x.journal"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestAJournalOfAnotherVersionIsKeptAndReported(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeJournal(t, root, []byte("opayjnl2 and more"))
	_, err := payload.OpenDir(root)
	wantCode(t, err, "payload_store_unavailable")
	if f := fault.From(err); !strings.Contains(f.Hint, "start the version that wrote it") || !strings.Contains(f.Error(), "x.journal") {
		t.Errorf("error %q with the hint %q: it should name the file and say what to do", f.Error(), f.Hint)
	}
	onlyJournal(t, root)
}

func TestALivingProcessKeepsItsJournal(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	living := openDir(t, root)
	put(t, living, "a", []byte("1"))
	settle(t, living)
	if err := os.Remove(filepath.Join(root, "a")); err != nil {
		t.Fatal(err)
	}
	other := openDir(t, root)
	if _, err := os.Stat(filepath.Join(root, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the journal of a living process was applied")
	}
	wantGot(t, other, "a", []byte("1")) // it is read, though
	onlyJournal(t, root)
	living.Abandon()
	wantGot(t, openDir(t, root), "a", []byte("1"))
}

func TestAnOldJournalDoesNotReplaceALaterPut(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dead, living := openDir(t, root), openDir(t, root)
	put(t, dead, "a", []byte("first"))
	put(t, living, "a", []byte("later"))
	dead.Abandon()
	wantGot(t, openDir(t, root), "a", []byte("later"))
}

func TestTheLaterOfTwoJournalsWinsInEitherOrder(t *testing.T) {
	t.Parallel()
	for range 8 { // journals have random names, so both orders happen
		root := t.TempDir()
		one, two := openDir(t, root), openDir(t, root)
		put(t, one, "a", []byte("first"))
		put(t, two, "a", []byte("later"))
		one.Abandon()
		two.Abandon()
		if err := os.Remove(filepath.Join(root, "a")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		wantGot(t, openDir(t, root), "a", []byte("later"))
	}
}

func TestJournalsAreRetiredWhenTheyAreFull(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := payload.OpenDirWithLimit(root, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := d.Put(t.Context(), fmt.Sprintf("o/%d_%d", w, i), make([]byte, 2000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, root); len(got) != 400 {
		t.Errorf("%d files", len(got))
	}
}

func TestAFolderThatSomebodyRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	put(t, d, "exports/o/a", []byte("1"))
	settle(t, d)
	if err := os.RemoveAll(filepath.Join(root, "exports")); err != nil {
		t.Fatal(err)
	}
	put(t, d, "exports/o/b", []byte("2"))
	settle(t, d)
	wantGot(t, d, "exports/o/b", []byte("2"))
}

func TestOldTemporaryFilesAreSweptAndNewOnesAreNot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	openDir(t, root)
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{".tmp/old", ".tmp/new", ".journal/old.new", ".journal/new.new"} {
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name, "/old") {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	openDir(t, root)
	if got := files(t, root); !slices.Equal(got, []string{".journal/new.new", ".tmp/new"}) {
		t.Errorf("files %q", got)
	}
}
