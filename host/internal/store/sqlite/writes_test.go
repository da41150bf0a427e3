package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// together returns the errors of writes that wait at the same moment, and so
// share a transaction.
func together(t *testing.T, s *Store, writes ...func(context.Context, *sql.Tx) error) []error {
	t.Helper()
	conn, err := s.WriteDB().Conn(t.Context()) // until all of them wait
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]error, len(writes))
	var running sync.WaitGroup
	for i, run := range writes {
		running.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("caught %v", p)
				}
			}()
			errs[i] = s.inTx(t.Context(), "write", run)
		})
	}
	waitFor(t, s, len(writes))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	return errs
}

// waitFor returns once n writes wait.
func waitFor(t *testing.T, s *Store, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		s.writes.mu.Lock()
		waiting := len(s.writes.waiting)
		s.writes.mu.Unlock()
		if waiting == n {
			return
		}
	}
}

func openForWrites(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), storetest.SQLitePath(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.WriteDB().ExecContext(t.Context(), "CREATE TABLE written (n INTEGER PRIMARY KEY, filler BLOB)"); err != nil {
		t.Fatal(err)
	}
	return s
}

func insert(n int, then error) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO written (n) VALUES (?)", n); err != nil {
			return err
		}
		return then
	}
}

func written(t *testing.T, s *Store) string {
	t.Helper()
	list, err := all(t.Context(), s.reader, func(row scanner) (n int, err error) { return n, row.Scan(&n) }, "SELECT n FROM written ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(list)
}

func TestAWriteThatFailsTakesNothingFromThoseBesideIt(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	no := errors.New("no")
	var one *sql.Tx
	errs := together(t, s, insert(1, nil), insert(2, no), insert(3, nil), func(_ context.Context, tx *sql.Tx) error {
		one = tx
		return nil
	}, func(_ context.Context, tx *sql.Tx) error {
		if one != nil && one != tx {
			return errors.New("these are two transactions")
		}
		one = tx
		return nil
	})
	for i, err := range errs {
		if (i == 1) != errors.Is(err, no) || i != 1 && err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got := written(t, s); got != "[1 3]" {
		t.Errorf("written: %s", got)
	}
}

func TestAWriteThatEndsTheTransactionFailsAllThatShareIt(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	if _, err := s.WriteDB().ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil { // no more than there are
		t.Fatal(err)
	}
	fill := func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO written (n, filler) VALUES (9, zeroblob(1000000))")
		return err
	}
	for i, err := range together(t, s, insert(1, nil), fill, insert(3, nil)) {
		// Those beside it may have shared another transaction, or fit in.
		if i == 1 && fault.From(err).Code != "database_full" {
			t.Errorf("full database: %v", err)
		}
		if present := map[int]string{0: "1", 2: "3"}[i]; present != "" && (err == nil) != has(t, s, present) {
			t.Errorf("write %s: %v, but the database has %s", present, err, written(t, s))
		}
	}
}

func TestARowThatExistsIsNotBlamedOnThoseBesideIt(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	errs := together(t, s, insert(1, nil), func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "ROLLBACK"); err != nil { // as if the disk had failed
			return err
		}
		_ = insert(2, nil)(ctx, tx)
		return insert(2, nil)(ctx, tx)
	}, insert(3, nil))
	for i, err := range errs {
		if i != 1 && err != nil && fault.From(err).Kind != fault.Internal {
			t.Errorf("write %d: %v", i, err)
		}
	}
}

func TestTheConnectionIsFreeOnceTheLastWriteIsAnswered(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	for range 100 {
		err := s.inTx(t.Context(), "write", func(context.Context, *sql.Tx) error {
			s.writes.mu.Lock() // holds up the goroutine that writes, where it looks who waits
			return nil
		})
		inUse := s.WriteDB().Stats().InUse
		for range 100 {
			runtime.Gosched()
			inUse += s.WriteDB().Stats().InUse
		}
		s.writes.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if inUse > 0 {
			t.Fatal("a Close would leave the file open, and its write-ahead log behind")
		}
	}
}

func has(t *testing.T, s *Store, n string) bool {
	t.Helper()
	found, err := exists(t.Context(), s.reader, "SELECT 1 FROM written WHERE n = ?", n)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAWriteIsNotMadeOnceNobodyWaitsForIt(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	conn, err := s.WriteDB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- s.inTx(ctx, "write", insert(1, nil)) }()
	waitFor(t, s, 1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.inTx(t.Context(), "write", insert(2, nil)); err != nil {
		t.Fatal(err)
	}
	if got := written(t, s); got != "[2]" {
		t.Errorf("written: %s", got)
	}
}

func TestAWriteThatPanicsDoesSoWhereItWasCalled(t *testing.T) {
	t.Parallel()
	s := openForWrites(t)
	errs := together(t, s, insert(1, nil), func(ctx context.Context, tx *sql.Tx) error {
		_ = insert(2, nil)(ctx, tx)
		panic("oops")
	}, insert(3, nil))
	if errs[0] != nil || errs[1] == nil || errs[1].Error() != "caught oops" || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
	if got := written(t, s); got != "[1 3]" {
		t.Errorf("written: %s", got)
	}
}
