package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxShared is how many writes share a transaction at most. The job queue,
// which asks for the connection directly, waits for that long.
const maxShared = 16

// writes are those that wait for the one connection that writes. Whoever comes
// while a transaction is under way shares the next one: to flush it costs more
// than most writes do.
//
// One goroutine asks for the connection on behalf of all. database/sql picks
// among those who ask at random, and the job queue, which asks for it directly,
// must not lose for seconds against a crowd.
type writes struct {
	mu      sync.Mutex
	waiting []*write // guarded by mu
	running bool     // guarded by mu: Store.write runs
}

type write struct {
	ctx      context.Context
	run      func(ctx context.Context, tx *sql.Tx) error
	panicked any        // read after done
	done     chan error // buffered
}

// inTx runs run, on another goroutine, in a transaction that others may share.
// If run fails it has changed nothing, and they are none the worse; if the
// commit fails, that is the error of all. run returns the error of each
// statement that fails. Waiting for the writer ends with ctx; what runs after
// that is short and is not interrupted.
func (s *Store) inTx(ctx context.Context, what string, run func(ctx context.Context, tx *sql.Tx) error) error {
	w := &write{ctx: context.WithoutCancel(ctx), run: run, done: make(chan error, 1)}
	s.enqueue(w)
	var err error
	select {
	case err = <-w.done:
	case <-ctx.Done():
		if err = ctx.Err(); !s.writes.withdraw(w) {
			err = <-w.done
		}
	}
	if w.panicked != nil {
		panic(w.panicked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, translate(err))
	}
	return nil
}

func (s *Store) enqueue(w *write) {
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	s.writes.waiting = append(s.writes.waiting, w)
	if !s.writes.running {
		s.writes.running = true
		go s.write()
	}
}

// write runs what waits until nothing does. It ends with its last caller, and
// with the connection that it waits for: Close closes that.
func (s *Store) write() {
	for s.writeTogether() {
	}
}

// withdraw reports false if w has been taken.
func (q *writes) withdraw(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// take returns the writes of one transaction.
func (q *writes) take() []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), maxShared)
	taken := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n) // which forgets them
	return taken
}

// goOn reports whether anybody waits. If not, the next who comes starts
// Store.write again.
func (q *writes) goOn() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = len(q.waiting) > 0
	return q.running
}

// writeTogether takes what waits once the connection is there, and reports
// whether more has come.
func (s *Store) writeTogether() bool {
	conn, err := s.writer.Conn(context.Background())
	taken := s.writes.take()
	errs := make([]error, len(taken))
	if err == nil {
		err = s.commit(conn, taken, errs)
	}
	for i, w := range taken {
		if err != nil {
			errs[i] = err
		}
		w.done <- errs[i]
	}
	return s.writes.goOn()
}

// commit is transact, and gives the connection back: who has an answer and then
// closes the store closes the file.
func (s *Store) commit(conn *sql.Conn, together []*write, errs []error) error {
	defer func() { _ = conn.Close() }() // gives it back
	if len(together) == 0 {
		return nil // they have been withdrawn
	}
	if err := s.inPlace(); err != nil {
		return err
	}
	return transact(conn, together, errs)
}

// transact runs writes in one transaction. errs[i] becomes the error of the
// i-th, which has then changed nothing; an error that is returned is that of
// all.
func transact(conn *sql.Conn, together []*write, errs []error) error {
	tx, err := conn.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to do after a commit
	for i, w := range together {
		if len(together) == 1 {
			err = w.call(tx)
		} else {
			errs[i], err = w.callApart(tx)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// callApart runs w so that it can fail alone. err has ended the transaction.
func (w *write) callApart(tx *sql.Tx) (own, err error) {
	ctx := context.Background()
	if _, err := tx.ExecContext(ctx, "SAVEPOINT apart"); err != nil {
		return nil, err
	}
	if own = w.call(tx); own != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO apart"); err != nil {
			var lite *sqlite.Error
			if errors.As(own, &lite) && primaryCode(lite) != sqlite3.SQLITE_CONSTRAINT {
				err = own // such as a full disk, which has rolled back everything
			}
			return nil, err
		}
	}
	_, err = tx.ExecContext(ctx, "RELEASE apart")
	return own, err
}

// errPanicked fails a write whose caller is about to panic.
var errPanicked = errors.New("the write panicked")

func (w *write) call(tx *sql.Tx) (err error) {
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			err = errPanicked
		}
	}()
	return w.run(w.ctx, tx)
}
