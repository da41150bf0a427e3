// Package schema brings a database to the shape that this version of the host
// needs: Orderport's own tables from module migrations, then the job queue's
// tables from the queue's library. Both remember in the database what has been
// applied, so Up may be called at every start, by several hosts at once.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/orderport/orderport/migrations"

	"github.com/orderport/orderport/host/internal/fault"
)

// versionTable is where Orderport's own applied steps are remembered.
const versionTable = "schema_version"

// lockKey is the PostgreSQL advisory lock that lets one host migrate at a time.
const lockKey int64 = 0x6f72646572706f72

// lockPatience is how long to wait for that other host.
const lockPatience = time.Minute

// lockNotAvailable is PostgreSQL's code for a wait that was too long.
const lockNotAvailable = "55P03"

// Step is one change of the schema.
type Step struct {
	Part      string     `json:"part"` // "orderport" or "queue"
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	Applied   bool       `json:"applied"`
	AppliedAt *time.Time `json:"applied_at,omitempty"` // not known for the queue's steps
}

// Schema migrates one database.
type Schema struct {
	dialect goose.Dialect
	files   fs.FS
	// open returns the database for goose, and what to call when done.
	open  func() (*sql.DB, func() error)
	queue queueSteps
	// exclusively runs a function while no other host migrates.
	exclusively func(ctx context.Context, run func(context.Context) error) error
}

// Postgres returns the schema of the database behind pool.
func Postgres(pool *pgxpool.Pool) (*Schema, error) { return postgres(pool, lockPatience) }

func postgres(pool *pgxpool.Pool, patience time.Duration) (*Schema, error) {
	queue, err := newQueue(riverpgxv5.New(pool))
	if err != nil {
		return nil, err
	}
	return &Schema{
		dialect: goose.DialectPostgres,
		files:   migrations.Postgres(),
		open: func() (*sql.DB, func() error) {
			db := stdlib.OpenDBFromPool(pool)
			return db, db.Close
		},
		queue: queue,
		exclusively: func(ctx context.Context, run func(context.Context) error) error {
			return withAdvisoryLock(ctx, pool.Config().ConnConfig, patience, run)
		},
	}, nil
}

// SQLite returns the schema of db, which must be able to write.
func SQLite(db *sql.DB) (*Schema, error) {
	queue, err := newQueue(riversqlite.New(db))
	if err != nil {
		return nil, err
	}
	return &Schema{
		dialect: goose.DialectSQLite3,
		files:   migrations.SQLite(),
		open:    func() (*sql.DB, func() error) { return db, func() error { return nil } },
		queue:   queue,
		exclusively: func(ctx context.Context, run func(context.Context) error) error {
			return run(ctx)
		},
	}, nil
}

// Up applies what is missing and returns it. Each step is its own transaction;
// after an error, the steps before it are in place and Up may be called again.
func (s *Schema) Up(ctx context.Context) (applied []Step, err error) {
	err = s.exclusively(ctx, func(ctx context.Context) error {
		before, err := s.Pending(ctx)
		if err != nil {
			return err
		}
		for {
			steps, err := s.up(ctx)
			applied = append(applied, steps...)
			if err == nil {
				return nil
			}
			// On SQLite another process may have applied the same step between
			// our look and our write. Then fewer are left now, and we go on
			// behind it.
			left, pendingErr := s.Pending(ctx)
			if pendingErr != nil || left >= before {
				return err
			}
			before = left
		}
	})
	return applied, err
}

func (s *Schema) up(ctx context.Context) ([]Step, error) {
	var applied []Step
	err := s.withProvider(func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			applied = append(applied, ownStep(r.Source, true))
		}
		return err
	})
	if err != nil {
		return applied, notMigrated(err)
	}
	queued, err := s.queue.up(ctx)
	if err != nil {
		return applied, fmt.Errorf("migrate the queue's tables: %w", err)
	}
	return append(applied, queued...), nil
}

// notMigrated says what to do about a step that SQLite could not make; it is as
// if it had not begun.
func notMigrated(err error) error {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			return fault.New(fault.Unavailable, "database_full", "the disk is too full to migrate the database, which is as it was before").
				WithHint("make room for twice the size of the database, then try again").Because(err)
		case sqlite3.SQLITE_BUSY:
			return fault.New(fault.Unavailable, "migration_under_way", "another process has held the database for ten seconds").
				WithHint("wait for it, such as another `orderport migrate up`, then try again").Because(err)
		}
	}
	return fmt.Errorf("migrate Orderport's tables: %w", err)
}

// Status lists every step, in the order in which they are applied.
func (s *Schema) Status(ctx context.Context) ([]Step, error) {
	var steps []Step
	err := s.withProvider(func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, one := range status {
			step := ownStep(one.Source, one.State == goose.StateApplied)
			if step.Applied {
				at := one.AppliedAt.UTC()
				step.AppliedAt = &at
			}
			steps = append(steps, step)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read which steps are applied: %w", err)
	}
	queued, err := s.queue.status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read which queue steps are applied: %w", err)
	}
	return append(steps, queued...), nil
}

// Pending counts the steps that Up would apply. A database with steps that this
// version does not know is Unavailable "schema_ahead", also for Up.
func (s *Schema) Pending(ctx context.Context) (int, error) {
	steps, err := s.Status(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.mustBeKnown(ctx); err != nil {
		return 0, err
	}
	n := 0
	for _, step := range steps {
		if !step.Applied {
			n++
		}
	}
	return n, nil
}

func (s *Schema) mustBeKnown(ctx context.Context) error {
	return s.withProvider(func(p *goose.Provider) error {
		newest, err := p.GetDBVersion(ctx)
		if err != nil {
			return fmt.Errorf("read the schema's version: %w", err)
		}
		known := p.ListSources()
		if last := known[len(known)-1].Version; newest > last {
			return fault.New(fault.Unavailable, "schema_ahead",
				"the database has step %d of its schema, and this version of Orderport knows %d", newest, last).
				WithHint("run the version that made that step, or restore a backup from before it")
		}
		return nil
	})
}

func (s *Schema) withProvider(use func(*goose.Provider) error) (err error) {
	db, release := s.open()
	defer func() {
		if closeErr := release(); err == nil {
			err = closeErr
		}
	}()
	provider, err := goose.NewProvider(s.dialect, db, s.files,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	// provider.Close would close the database, which is not ours to close.
	return use(provider)
}

func ownStep(source *goose.Source, applied bool) Step {
	return Step{Part: "orderport", Version: source.Version, Name: source.Path, Applied: applied}
}

// withAdvisoryLock uses a connection of its own, so that a small pool can't
// block itself.
func withAdvisoryLock(ctx context.Context, config *pgx.ConnConfig, patience time.Duration, run func(context.Context) error) error {
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return fmt.Errorf("connect for the migration lock: %w", err)
	}
	// Closing the session releases the lock, even when ctx is done.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SET lock_timeout = "+strconv.Itoa(int(patience.Milliseconds()))); err != nil {
		return fmt.Errorf("wait for the migration lock: %w", err)
	}
	_, err = conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lockKey)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == lockNotAvailable {
		return fault.New(fault.Unavailable, "migration_under_way", "another process has been migrating the database for %s", patience).
			WithHint("wait for it; if it hangs, end it: its steps are transactions, so nothing is left half done").Because(err)
	}
	if err != nil {
		return fmt.Errorf("wait for the migration lock: %w", err)
	}
	return run(ctx)
}

// queueSteps hides the driver's transaction type.
type queueSteps struct {
	up     func(ctx context.Context) ([]Step, error)
	status func(ctx context.Context) ([]Step, error)
}

func newQueue[Tx any](driver riverdriver.Driver[Tx]) (queueSteps, error) {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return queueSteps{}, fmt.Errorf("prepare the queue's migrations: %w", err)
	}
	return queueSteps{
		up: func(ctx context.Context) ([]Step, error) {
			result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
			if err != nil {
				return nil, err
			}
			var steps []Step
			for _, v := range result.Versions {
				steps = append(steps, Step{Part: "queue", Version: int64(v.Version), Name: v.Name, Applied: true})
			}
			return steps, nil
		},
		status: func(ctx context.Context) ([]Step, error) {
			existing, err := migrator.ExistingVersions(ctx)
			if err != nil {
				return nil, err
			}
			applied := map[int]bool{}
			for _, v := range existing {
				applied[v.Version] = true
			}
			var steps []Step
			for _, v := range migrator.AllVersions() {
				steps = append(steps, Step{Part: "queue", Version: int64(v.Version), Name: v.Name, Applied: applied[v.Version]})
			}
			return steps, nil
		},
	}, nil
}
