package schema

import (
	"database/sql"
	"io/fs"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// LockKey is the lock under which hosts migrate.
const LockKey = lockKey

// PostgresWithPatience is Postgres for those who don't wait for long.
func PostgresWithPatience(pool *pgxpool.Pool, patience time.Duration) (*Schema, error) {
	return postgres(pool, patience)
}

// SQLiteOfOld is SQLite as it was when there were only so many steps.
func SQLiteOfOld(db *sql.DB, steps int) (*Schema, error) {
	s, err := SQLite(db)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(s.files, "*.sql")
	if err != nil {
		return nil, err
	}
	old := fstest.MapFS{}
	for _, name := range names[:steps] {
		content, err := fs.ReadFile(s.files, name)
		if err != nil {
			return nil, err
		}
		old[name] = &fstest.MapFile{Data: content}
	}
	s.files = old
	return s, nil
}
