package queue_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite"

	"github.com/orderport/orderport/host/internal/queue"
	"github.com/orderport/orderport/host/internal/store/storetest"
)

// database is what the tests need of either database.
type database struct {
	// insert inserts jobs in a transaction that is committed or rolled back.
	insert  func(t *testing.T, commit bool, ids ...uuid.UUID)
	open    func(t *testing.T, o queue.Options) *queue.Queue
	pending func(t *testing.T) int // jobs that are not completed
}

func onBoth(t *testing.T, test func(t *testing.T, db database)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, postgres(t)) })
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, sqlite(t)) })
}

func postgres(t *testing.T) database {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), storetest.PostgresURL(t))
	must(t, err)
	t.Cleanup(pool.Close)
	waker, err := queue.NewPostgresWaker(nil)
	must(t, err)
	return database{
		insert: func(t *testing.T, commit bool, ids ...uuid.UUID) {
			tx, err := pool.Begin(t.Context())
			must(t, err)
			must(t, waker.WakeTx(t.Context(), tx, ids))
			if !commit {
				must(t, tx.Rollback(t.Context()))
				return
			}
			must(t, tx.Commit(t.Context()))
		},
		open: func(t *testing.T, o queue.Options) *queue.Queue {
			q, err := queue.Postgres(pool, o)
			must(t, err)
			return q
		},
		pending: func(t *testing.T) (n int) {
			must(t, pool.QueryRow(t.Context(), "select count(*) from river_job where state <> 'completed'").Scan(&n))
			return n
		},
	}
}

func sqlite(t *testing.T) database {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+storetest.SQLitePath(t)+"?_txlock=immediate")
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { must(t, db.Close()) })
	waker, err := queue.NewSQLiteWaker(nil)
	must(t, err)
	return database{
		insert: func(t *testing.T, commit bool, ids ...uuid.UUID) {
			tx, err := db.BeginTx(t.Context(), nil)
			must(t, err)
			must(t, waker.WakeTx(t.Context(), tx, ids))
			if !commit {
				must(t, tx.Rollback())
				return
			}
			must(t, tx.Commit())
		},
		open: func(t *testing.T, o queue.Options) *queue.Queue {
			q, err := queue.SQLite(db, o)
			must(t, err)
			return q
		},
		pending: func(t *testing.T) (n int) {
			must(t, db.QueryRowContext(t.Context(), "select count(*) from river_job where state <> 'completed'").Scan(&n))
			return n
		},
	}
}

func TestAJobWakesItsConnectionOnceItsTransactionCommits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db database) {
		woken := make(chan uuid.UUID, 10)
		start(t, db.open(t, queue.Options{Wake: func(_ context.Context, id uuid.UUID) (bool, error) {
			woken <- id
			return true, nil
		}}))
		a, b := uuid.New(), uuid.New()
		db.insert(t, false, uuid.New())
		db.insert(t, true, a, b)
		got := map[uuid.UUID]bool{receive(t, woken): true, receive(t, woken): true}
		if !got[a] || !got[b] {
			t.Errorf("woken %v, want %v and %v and not the one that was rolled back", got, a, b)
		}
		eventually(t, "all jobs are completed", func() bool { return db.pending(t) == 0 })
	})
}

func TestAJobThatThisHostCannotServeIsLeftToAnotherHost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db database) {
		var refused atomic.Int32
		first := db.open(t, queue.Options{Wake: func(context.Context, uuid.UUID) (bool, error) {
			refused.Add(1)
			return false, nil
		}})
		start(t, first)
		id := uuid.New()
		db.insert(t, true, id)
		eventually(t, "the first host has refused the job", func() bool { return refused.Load() > 0 })
		if n := db.pending(t); n != 1 {
			t.Fatalf("%d jobs wait after the refusal, want 1", n)
		}
		woken := make(chan uuid.UUID, 10)
		must(t, first.Stop(t.Context()))
		start(t, db.open(t, queue.Options{Wake: func(_ context.Context, id uuid.UUID) (bool, error) {
			woken <- id
			return true, nil
		}}))
		if got := receive(t, woken); got != id {
			t.Errorf("the second host was woken for %v, want %v", got, id)
		}
	})
}

func TestAJobWhoseHostCannotReadTheDatabaseRunsAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db database) {
		var calls atomic.Int32
		served := make(chan uuid.UUID, 10)
		start(t, db.open(t, queue.Options{Wake: func(_ context.Context, id uuid.UUID) (bool, error) {
			if calls.Add(1) == 1 {
				return false, fmt.Errorf("the database is away")
			}
			served <- id
			return true, nil
		}}))
		id := uuid.New()
		db.insert(t, true, id)
		if got := receive(t, served); got != id {
			t.Errorf("served %v, want %v", got, id)
		}
	})
}

func start(t *testing.T, q *queue.Queue) {
	t.Helper()
	must(t, q.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		must(t, q.Stop(ctx))
	})
}

func receive(t *testing.T, ch <-chan uuid.UUID) uuid.UUID {
	t.Helper()
	select {
	case id := <-ch:
		return id
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		return uuid.Nil
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
