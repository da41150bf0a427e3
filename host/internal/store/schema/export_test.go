package schema

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// LockKey is the lock under which hosts migrate.
const LockKey = lockKey

// PostgresWithPatience is Postgres for those who don't wait for long.
func PostgresWithPatience(pool *pgxpool.Pool, patience time.Duration) (*Schema, error) {
	return postgres(pool, patience)
}
