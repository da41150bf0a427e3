package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// postgresFloor commits to PostgreSQL and drops a file into a directory.
type postgresFloor struct {
	pool *pgxpool.Pool
	dir  string
}

func (b *bench) openPostgresFloor(ctx context.Context, workers int) (floor, error) {
	url, err := b.database(ctx, "floor")
	if err != nil {
		return nil, err
	}
	dir, err := b.folder("floor-drop")
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, fmt.Sprintf("%s&pool_max_conns=%d&pool_min_conns=%[2]d", url, workers))
	if err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, `CREATE TABLE delivered (id text PRIMARY KEY, content bytea NOT NULL, at timestamptz NOT NULL DEFAULT now())`)
	return &postgresFloor{pool, dir}, err
}

func (f *postgresFloor) order(ctx context.Context, _ int, id string, content []byte) error {
	if _, err := f.pool.Exec(ctx, `INSERT INTO delivered (id, content) VALUES ($1, $2)`, id, content); err != nil {
		return err
	}
	return dropFile(f.dir, id, content)
}

func (f *postgresFloor) close() { f.pool.Close() }

// sqliteFloor is the same with SQLite, which takes one writer at a time; a
// single connection is faster than several that wait for each other's lock.
type sqliteFloor struct {
	db     *sql.DB
	insert *sql.Stmt
	dir    string
}

func (b *bench) openSQLiteFloor(ctx context.Context, _ int) (floor, error) {
	dir, err := b.folder("floor-drop")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.dir, filepath.Base(dir)+".db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE delivered (id TEXT PRIMARY KEY, content BLOB NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)`); err != nil {
		return nil, err
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO delivered (id, content) VALUES (?, ?)`)
	return &sqliteFloor{db, insert, dir}, err
}

func (f *sqliteFloor) order(ctx context.Context, _ int, id string, content []byte) error {
	if _, err := f.insert.ExecContext(ctx, id, content); err != nil {
		return err
	}
	return dropFile(f.dir, id, content)
}

func (f *sqliteFloor) close() { _ = f.db.Close() } // thrown away
