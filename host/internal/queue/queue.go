package queue

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"golang.org/x/time/rate"
)

// Wake tells the host to look at a connection and returns at once. It may be
// called concurrently and for connections that no longer exist. served is
// false if this host lacks the connection's connector, so that another host
// should have the job; an error means that this could not be found out.
type Wake func(ctx context.Context, connectionID uuid.UUID) (served bool, err error)

// Options say how a Queue fetches.
type Options struct {
	Wake   Wake
	Logger *slog.Logger
	// PollOnly does without LISTEN/NOTIFY, for databases behind a pooler in
	// transaction mode. On SQLite it is always so.
	PollOnly bool
	// PollEvery is how often jobs are looked for without being notified. Zero:
	// one second on PostgreSQL, half a second on SQLite.
	PollEvery time.Duration
}

// Queue fetches jobs and wakes connections. Start may be called once, Stop any
// number of times.
type Queue struct {
	client runner
}

// runner is the part of river.Client that does not depend on the database.
type runner interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Start begins to fetch and returns. The queue runs until Stop, also when ctx
// ends: River's notifier must not outlive the context that it was started with.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start queue: %w", err)
	}
	return nil
}

// Stop fetches no more, and returns when running jobs and their completions
// are through, or ctx ends.
func (q *Queue) Stop(ctx context.Context) error {
	if err := q.client.Stop(ctx); err != nil {
		return fmt.Errorf("stop queue: %w", err)
	}
	return nil
}

// Postgres returns a Queue on a PostgreSQL database that is migrated. It keeps
// one of the pool's connections for LISTEN, unless it only polls.
func Postgres(pool *pgxpool.Pool, o Options) (*Queue, error) {
	if o.PollEvery == 0 {
		o.PollEvery = time.Second
	}
	return fetching(riverpgxv5.New(pool), o)
}

// SQLite returns a Queue on a SQLite database that is migrated. River asks
// that db have one open connection; it should be the one that everything else
// writes through, so that no writer ever finds the database locked.
func SQLite(db *sql.DB, o Options) (*Queue, error) {
	if o.PollEvery == 0 {
		o.PollEvery = 500 * time.Millisecond
	}
	// River's notifications on SQLite are a table that is read 20 times a
	// second. There is only one host, and it nudges itself.
	o.PollOnly = true
	return fetching(riversqlite.New(db), o)
}

func fetching[TTx any](driver riverdriver.Driver[TTx], o Options) (*Queue, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &lookWorker{wake: o.Wake, now: time.Now})
	config := baseConfig(o.Logger)
	config.Workers = workers
	config.PollOnly = o.PollOnly
	config.FetchPollInterval = o.PollEvery
	// A job takes microseconds, so the bound is how many are fetched at once.
	config.Queues = map[string]river.QueueConfig{queueName: {MaxWorkers: 500}}
	config.SoftStopTimeout = 2 * time.Second
	client, err := river.NewClient(driver, config)
	if err != nil {
		return nil, fmt.Errorf("make queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// baseConfig is what inserting and fetching clients share.
func baseConfig(logger *slog.Logger) *river.Config {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &river.Config{
		Logger:        slog.New(quiet{logger.Handler(), rate.NewLimiter(rate.Every(time.Second), 5)}),
		FetchCooldown: 20 * time.Millisecond,
		JobTimeout:    10 * time.Second,
		// A host that dies leaves jobs running; nothing waits for them.
		RescueStuckJobsAfter: 30 * time.Second,
		// Done jobs are of no use to anybody.
		CompletedJobRetentionPeriod: 10 * time.Second,
		CancelledJobRetentionPeriod: 10 * time.Second,
		DiscardedJobRetentionPeriod: time.Hour,
	}
}

// PostgresWaker inserts jobs into a PostgreSQL database.
type PostgresWaker struct {
	client *river.Client[pgx.Tx]
}

// NewPostgresWaker returns a PostgresWaker. It needs no pool of its own and
// nothing to be closed.
func NewPostgresWaker(logger *slog.Logger) (*PostgresWaker, error) {
	client, err := river.NewClient(riverpgxv5.New(nil), baseConfig(logger))
	if err != nil {
		return nil, fmt.Errorf("make waker: %w", err)
	}
	return &PostgresWaker{client: client}, nil
}

// WakeTx inserts one job for each connection. The jobs appear if and when tx
// commits.
func (w *PostgresWaker) WakeTx(ctx context.Context, tx pgx.Tx, connectionIDs []uuid.UUID) error {
	if len(connectionIDs) == 0 {
		return nil
	}
	if _, err := w.client.InsertManyFastTx(ctx, tx, looks(connectionIDs)); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

// SQLiteWaker inserts jobs into a SQLite database.
type SQLiteWaker struct {
	client *river.Client[*sql.Tx]
}

// NewSQLiteWaker returns a SQLiteWaker. It needs no database of its own and
// nothing to be closed.
func NewSQLiteWaker(logger *slog.Logger) (*SQLiteWaker, error) {
	client, err := river.NewClient(riversqlite.New(nil), baseConfig(logger))
	if err != nil {
		return nil, fmt.Errorf("make waker: %w", err)
	}
	return &SQLiteWaker{client: client}, nil
}

// WakeTx inserts one job for each connection. The jobs appear if and when tx
// commits.
func (w *SQLiteWaker) WakeTx(ctx context.Context, tx *sql.Tx, connectionIDs []uuid.UUID) error {
	if len(connectionIDs) == 0 {
		return nil
	}
	if _, err := w.client.InsertManyFastTx(ctx, tx, looks(connectionIDs)); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}
