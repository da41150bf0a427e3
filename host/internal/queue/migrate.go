package queue

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// MigratePostgres brings the queue's own tables up to date. It may be called
// again, but not by two processes at once: the caller holds the lock under
// which it runs its own migrations.
func MigratePostgres(ctx context.Context, pool *pgxpool.Pool) error {
	return migrateUp(ctx, riverpgxv5.New(pool))
}

// MigrateSQLite is MigratePostgres for SQLite.
func MigrateSQLite(ctx context.Context, db *sql.DB) error {
	return migrateUp(ctx, riversqlite.New(db))
}

// CheckPostgres reports which migrations of the queue's tables are missing, as
// messages for a person. None: up to date.
func CheckPostgres(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	return missing(ctx, riverpgxv5.New(pool))
}

// CheckSQLite is CheckPostgres for SQLite.
func CheckSQLite(ctx context.Context, db *sql.DB) ([]string, error) {
	return missing(ctx, riversqlite.New(db))
}

func migrateUp[TTx any](ctx context.Context, driver riverdriver.Driver[TTx]) error {
	migrator, err := newMigrator(driver)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate queue: %w", err)
	}
	return nil
}

func missing[TTx any](ctx context.Context, driver riverdriver.Driver[TTx]) ([]string, error) {
	migrator, err := newMigrator(driver)
	if err != nil {
		return nil, err
	}
	result, err := migrator.Validate(ctx, &rivermigrate.ValidateOpts{})
	if err != nil {
		return nil, fmt.Errorf("check queue: %w", err)
	}
	return result.Messages, nil
}

func newMigrator[TTx any](driver riverdriver.Driver[TTx]) (*rivermigrate.Migrator[TTx], error) {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: baseConfig(nil).Logger})
	if err != nil {
		return nil, fmt.Errorf("make queue migrator: %w", err)
	}
	return migrator, nil
}
