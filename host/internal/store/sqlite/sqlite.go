// Package sqlite keeps Orderport's data in one SQLite file, for one host.
//
// All writes go over one connection, in immediate transactions that are flushed
// when they commit; writes that come meanwhile share the next one. Reads go
// over a few more connections, which never wait for a write. Since writes
// follow one another, a check before a write holds until the write. The
// process's clock decides leases and heartbeats.
//
// Ids are stored as canonical text, times as microseconds since 1970.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
	"github.com/orderport/orderport/host/internal/store/schema"
)

var _ store.Store = (*Store)(nil)

// Wake inserts one "look again" job for each connection, inside the
// transaction that made work for it.
type Wake func(ctx context.Context, tx *sql.Tx, connectionIDs []uuid.UUID) error

// Options are optional.
type Options struct {
	Wake Wake             // nil: nobody is woken
	Now  func() time.Time // nil: time.Now
	// MustExist refuses a path where no file is, instead of making an empty one.
	MustExist bool
}

const (
	// readers is how many reads may run at once.
	readers = 4
	// busyTimeout is how long another process may hold the file.
	busyTimeout = 10 * time.Second
)

// Store is a store.Store in an SQLite file.
type Store struct {
	writer *sql.DB // one connection
	writes writes
	reader *sql.DB
	wake   Wake
	clock  func() time.Time
	path   string
	opened fs.FileInfo // of the file that was opened
}

// Open opens the file at path and creates it, readable by its owner only, if
// it is not there; its folder must exist. It makes no tables; see Schema.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	if !opts.MustExist {
		if err := createFile(path); err != nil {
			return nil, fmt.Errorf("open SQLite: %w", err)
		}
	}
	opened, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	// synchronous=FULL: a commit that has returned survives a power cut.
	writer, err := openPool(path, 1, "_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=foreign_keys(1)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16000)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, fmt.Errorf("open SQLite: %w", err)
	}
	s := &Store{writer: writer, wake: opts.Wake, clock: opts.Now, path: path, opened: opened}
	if s.wake == nil {
		s.wake = func(context.Context, *sql.Tx, []uuid.UUID) error { return nil }
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	// The writer comes first: it switches the file to WAL.
	if err := connectFirst(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file %s: %w", path, err), writer.Close())
	}
	s.reader, err = openPool(path, readers, "_pragma=query_only(1)&_pragma=cache_size(-4000)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite: %w", err), writer.Close())
	}
	return s, nil
}

// createFile leaves a file that exists alone: opening and closing it would
// drop the locks that this process may hold on it.
func createFile(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func openPool(path string, size int, params string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() +
		fmt.Sprintf("?_pragma=busy_timeout(%d)&%s", busyTimeout.Milliseconds(), params))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(preparing{connector})
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

// connectFirst connects to a file that other processes may be switching to WAL
// too. SQLite doesn't wait for them there, whatever its busy_timeout.
func connectFirst(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// WriteDB returns the one connection that writes, for the job queue. Who holds
// a transaction on it must not ask for another.
func (s *Store) WriteDB() *sql.DB { return s.writer }

// Schema returns what migrates this database.
func (s *Store) Schema() (*schema.Schema, error) { return schema.SQLite(s.writer) }

// inPlace fails if the path leads to another file than the one that was opened,
// or to none.
func (s *Store) inPlace() error {
	now, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, s.opened) {
		return rules.DatabaseMoved(s.path)
	}
	return nil // what can't be looked at is the database's to report
}

// Ping reports whether the database answers, and is still where it was opened.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	var one int
	if err := s.reader.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1").Scan(&one); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read SQLite: %w", err)
	}
	return nil
}

// Close waits for running calls and closes the file.
func (s *Store) Close() error {
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// now is the present in the database's resolution.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }
