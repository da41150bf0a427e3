package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/sqlite"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

func TestTheFileIsForItsOwnerOnlyWhateverItsName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20#c?d.db")
	s := open(t, path)
	steps, err := s.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := steps.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
}

func TestAMissingFolderIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "missing", "a.db")
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestCommitsAreFlushedAndForeignKeysHold(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1"} {
		var got string
		if err := s.WriteDB().QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", pragma, got, err, want)
		}
	}
}

func TestWhatWasAcceptedIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := storetest.SQLitePath(t)
	first, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := storetest.NewWorld(t, first)
	e := w.AcceptN(1)[0]
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	w = w.On(open(t, path))
	if got := w.Get(e.ID); got.Status != domain.Pending {
		t.Errorf("got %+v", got)
	}
}

func TestTheClockDecidesLeasesAndHeartbeats(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := openWith(t, storetest.SQLitePath(t), sqlite.Options{Now: func() time.Time { return clock }})
	w := storetest.NewWorld(t, s)
	w.AcceptN(1)
	claimed := w.Claim(1)[0].Export
	if want := clock.Add(time.Minute); !claimed.Lease.ExpiresAt.Equal(want) {
		t.Errorf("lease expires at %v, want %v", claimed.Lease.ExpiresAt, want)
	}
	types := []string{w.Conn.ConnectorType}
	for _, step := range []struct {
		forward time.Duration
		lost    int
	}{{time.Minute, 0}, {time.Minute, 0}, {time.Microsecond, 1}} {
		clock = clock.Add(step.forward)
		if alive, err := s.Heartbeat(t.Context(), w.Host, nil); err != nil || !alive {
			t.Fatalf("heartbeat: %v, %v", alive, err)
		}
		lost, err := s.Lost(t.Context(), 10*time.Second, types, 10)
		if err != nil || len(lost) != step.lost {
			t.Errorf("at %v lost %d (%v), want %d", clock, len(lost), err, step.lost)
		}
	}
	clock = clock.Add(11 * time.Second)
	if _, err := s.Lost(t.Context(), 10*time.Second, types, 10); err != nil {
		t.Fatal(err)
	}
	if alive, err := s.Heartbeat(t.Context(), w.Host, nil); err != nil || alive {
		t.Errorf("a host without heartbeat for 11 s is alive: %v, %v", alive, err)
	}
}

func TestWaitingForTheWriterEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	holder, err := s.WriteDB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	order := w.Order()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Accept(ctx, []store.Acceptance{order}); err == nil {
		t.Error("accepted while another held the writer")
	}
	// Reads go on.
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.ListOrganizations(t.Context()); err != nil {
		t.Error(err)
	}
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	w.Accept(order)
}

func TestAFileThatIsTakenAwayTakesNoMoreOrders(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(path string) error { return os.WriteFile(path+".new", nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := storetest.SQLitePath(t)
			s := open(t, path)
			w := storetest.NewWorld(t, s)
			w.AcceptN(1)
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			if name == "replaced" {
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.Accept(t.Context(), []store.Acceptance{w.Order()})
			if f := fault.From(err); f == nil || f.Code != "database_moved" {
				t.Errorf("accept: %v", err)
			}
			if f := fault.From(s.Ping(t.Context())); f == nil || f.Code != "database_moved" {
				t.Errorf("ping: %v", f)
			}
		})
	}
}

func TestAFileThatMustExistIsNotMade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	if _, err := sqlite.Open(t.Context(), path, sqlite.Options{MustExist: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

// A limit on the file's pages fails as a full disk does.
func TestAFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.SQLitePath(t))
	w := storetest.NewWorld(t, s)
	w.AcceptN(1)
	if _, err := s.WriteDB().ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		_, err := s.Accept(t.Context(), []store.Acceptance{w.Order()})
		if err == nil {
			continue // there was room in the last page
		}
		if f := fault.From(err); f.Code != "database_full" {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Error("nothing is ever full")
}
