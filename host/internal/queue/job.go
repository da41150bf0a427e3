package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"golang.org/x/time/rate"
)

const (
	// queueName is River's queue that all our jobs are in.
	queueName = "connections"
	// notMineFor is how long a job rests that a host could not serve, so that
	// a host which has the connector gets it.
	notMineFor = time.Second
	// staleAfter is when a job that nobody could serve is dropped. A host that
	// gets the connector later finds the connection in its own sweep.
	staleAfter = time.Minute
)

// look is the one job: "look again at this connection".
type look struct {
	ConnectionID uuid.UUID `json:"connection_id"`
}

// Kind names the job in the database.
func (look) Kind() string { return "connection.look" }

// InsertOpts keeps jobs out of River's default queue and gives up on them
// early. There are no unique options: their states include "running", so that
// a wake-up could be swallowed by a look that has already begun.
func (look) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueName, MaxAttempts: 3}
}

// looks makes one job for each connection.
func looks(connectionIDs []uuid.UUID) []river.InsertManyParams {
	params := make([]river.InsertManyParams, len(connectionIDs))
	for i, id := range connectionIDs {
		params[i] = river.InsertManyParams{Args: look{ConnectionID: id}}
	}
	return params
}

// lookWorker hands jobs to the host.
type lookWorker struct {
	river.WorkerDefaults[look]
	wake Wake
	now  func() time.Time
}

// Work wakes the connection, or leaves the job to another host.
func (w *lookWorker) Work(ctx context.Context, job *river.Job[look]) error {
	served, err := w.wake(ctx, job.Args.ConnectionID)
	if err != nil {
		return fmt.Errorf("wake connection %s: %w", job.Args.ConnectionID, err)
	}
	if !served && w.now().Sub(job.CreatedAt) < staleAfter {
		return river.JobSnooze(notMineFor)
	}
	return nil
}

// NextRetry is soon: the only thing that can fail is the database.
func (w *lookWorker) NextRetry(*river.Job[look]) time.Time { return w.now().Add(time.Second) }

// quiet passes on warnings and errors only, about one of them a second:
// while the database is away, River's parts repeat themselves.
type quiet struct {
	slog.Handler
	limit *rate.Limiter
}

// Enabled says whether River may log at a level.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// Handle logs a record unless there were too many lately.
func (q quiet) Handle(ctx context.Context, record slog.Record) error {
	if !q.limit.Allow() {
		return nil
	}
	return q.Handler.Handle(ctx, record)
}

// WithAttrs keeps the limit.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.limit}
}

// WithGroup keeps the limit.
func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.limit}
}
