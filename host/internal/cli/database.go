package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/queue"
	"github.com/orderport/orderport/host/internal/settings"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/postgres"
	"github.com/orderport/orderport/host/internal/store/schema"
	"github.com/orderport/orderport/host/internal/store/sqlite"
)

// database is the store with what only a process that owns it needs.
type database struct {
	store.Store
	address string // without password
	schema  *schema.Schema
	// queue makes the queue that fetches this database's wake-ups.
	queue func(queue.Options) (*queue.Queue, error)
}

// openDatabase opens the database that the settings name. An SQLite file must
// be there: a new one would look like a database that has lost everything.
func (s *session) openDatabase(set settings.Settings, log *slog.Logger) (*database, error) {
	return s.database(set, log, false)
}

// makeDatabase opens the database and makes an SQLite file that is not there.
func (s *session) makeDatabase(set settings.Settings, log *slog.Logger) (*database, error) {
	return s.database(set, log, true)
}

func (s *session) database(set settings.Settings, log *slog.Logger, create bool) (*database, error) {
	address, err := store.ParseDatabaseURL(set.DatabaseURL)
	if err != nil {
		return nil, err
	}
	var db *database
	if address.Kind == store.PostgreSQL {
		db, err = openPostgres(s.ctx, address, log)
	} else {
		db, err = openSQLite(s.ctx, address, log, create)
	}
	if errors.Is(err, fs.ErrNotExist) && !create {
		return nil, fault.New(fault.Unavailable, "database_missing", "there is no database %s", address).
			WithHint("run `orderport migrate up` to make a new one, or check DATABASE_URL and the data directory").Because(err)
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "database_unavailable", "the database %s can't be opened", address).
			WithHint("check DATABASE_URL, and that the database runs").Because(err)
	}
	db.address = address.String()
	s.closeWith(db.Close)
	return db, nil
}

func openPostgres(ctx context.Context, address store.DatabaseURL, log *slog.Logger) (*database, error) {
	waker, err := queue.NewPostgresWaker(log)
	if err != nil {
		return nil, err
	}
	opened, err := postgres.Open(ctx, address.URL, postgres.Options{Wake: waker.WakeTx, Logger: log})
	if err != nil {
		return nil, err
	}
	db := &database{Store: opened, queue: func(o queue.Options) (*queue.Queue, error) { return queue.Postgres(opened.Pool(), o) }}
	db.schema, err = opened.Schema()
	return db, err
}

// mustBeMigrated refuses to work on a schema that this version does not know.
func (d *database) mustBeMigrated(ctx context.Context) error {
	pending, err := d.schema.Pending(ctx)
	if err != nil {
		return fmt.Errorf("check the schema of %s: %w", d.address, err)
	}
	if pending > 0 {
		return fault.New(fault.Unavailable, "schema_behind", "the database %s lacks %d steps of its schema", d.address, pending).
			WithHint("run `orderport migrate up`")
	}
	return nil
}

func openSQLite(ctx context.Context, address store.DatabaseURL, log *slog.Logger, create bool) (*database, error) {
	waker, err := queue.NewSQLiteWaker(log)
	if err != nil {
		return nil, err
	}
	if create {
		if err := os.MkdirAll(filepath.Dir(address.Path), 0o700); err != nil {
			return nil, err
		}
	}
	opened, err := sqlite.Open(ctx, address.Path, sqlite.Options{Wake: waker.WakeTx, MustExist: !create})
	if err != nil {
		return nil, err
	}
	db := &database{Store: opened, queue: func(o queue.Options) (*queue.Queue, error) { return queue.SQLite(opened.WriteDB(), o) }}
	db.schema, err = opened.Schema()
	return db, err
}
