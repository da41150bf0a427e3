// Package postgres keeps Orderport's data in PostgreSQL, for one host or many.
//
// Every method is one transaction. Statements of the hot path take whole
// batches as arrays, so that a batch costs one round trip and one commit, and
// each is written for one index. The database's clock decides everything that
// hosts must agree on.
package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/schema"
)

var _ store.Store = (*Store)(nil)

// Wake inserts one "look again" job for each connection, inside the
// transaction that made work for it.
type Wake func(ctx context.Context, tx pgx.Tx, connectionIDs []uuid.UUID) error

// Options are optional.
type Options struct {
	Wake     Wake  // nil: nobody is woken
	MaxConns int32 // 0: 12
	Logger   *slog.Logger
}

// defaultMaxConns serves the engine's few writers, the API and the queue.
const defaultMaxConns = 12

// Store is a store.Store in PostgreSQL.
type Store struct {
	pool *pgxpool.Pool
	wake Wake
	log  *slog.Logger
}

// Open connects to the database at url and checks that it answers. It changes
// nothing there; see Schema for that.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx masks passwords where it recognizes them; say nothing of the rest.
		return nil, fmt.Errorf("open PostgreSQL: the connection string can't be used")
	}
	config.MaxConns = defaultMaxConns
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	config.MinIdleConns = 1
	config.AfterConnect = prepareSession
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	s := &Store{pool: pool, wake: opts.Wake, log: opts.Logger}
	if s.wake == nil {
		s.wake = func(context.Context, pgx.Tx, []uuid.UUID) error { return nil }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// prepareSession keeps the planner from reading a whole backlog. Right after
// an installation there are no statistics, and plans that are made then, for
// tables that are still empty, are kept for as long as the session lives. Each
// statement has one good plan, so it is made once, not with each execution.
//
// It also lets the server end a transaction whose host was frozen in the middle
// of it, or before it had read the answer: its row locks would hold up the
// takeover of its exports.
func prepareSession(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;
		SET plan_cache_mode = force_generic_plan; SET idle_in_transaction_session_timeout = '20s'; SET tcp_user_timeout = '20s'`)
	return err
}

// Pool returns the connections, for the job queue.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Schema returns what migrates this database.
func (s *Store) Schema() (*schema.Schema, error) { return schema.Postgres(s.pool) }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach PostgreSQL: %w", err)
	}
	return nil
}

// Close waits for running calls and releases connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// maxTries bounds how often a transaction that the database broke off, with
// nothing done, is tried again.
const maxTries = 5

// inTx runs run in a transaction. PostgreSQL breaks off one of two
// transactions that wait for each other; run is then called again.
func (s *Store) inTx(ctx context.Context, what string, run func(tx pgx.Tx) error) error {
	return s.unlessBrokenOff(ctx, what, func() error { return pgx.BeginFunc(ctx, s.pool, run) })
}

// alone is inTx for what is a single statement, which is a transaction by
// itself: one round trip instead of three.
func (s *Store) alone(ctx context.Context, what string, run func(q querier) error) error {
	return s.unlessBrokenOff(ctx, what, func() error { return run(s.pool) })
}

// querier is a transaction or a pool.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

func (s *Store) unlessBrokenOff(ctx context.Context, what string, run func() error) error {
	for try := 1; ; try++ {
		err := run()
		if err == nil {
			return nil
		}
		if try == maxTries || !brokenOff(err) {
			return fmt.Errorf("%s: %w", what, translate(err))
		}
		s.log.DebugContext(ctx, "transaction broken off, trying again", "what", what, "try", try, "error", err)
		if err := pause(ctx, time.Duration(try)*5*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
