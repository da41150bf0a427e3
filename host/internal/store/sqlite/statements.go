package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// maxStatements is how many prepared statements a connection keeps. Ours are
// some dozens; those of lists vary with their filters.
const maxStatements = 200

// preparing makes connections that prepare each statement once: to parse and
// plan it takes longer than to run it.
type preparing struct{ driver.Connector }

// Connect implements driver.Connector.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks a method"), c.Close())
	}
	return &preparingConn{fullConn: full, idle: make(map[string]statement)}, nil
}

// fullConn is what database/sql makes use of.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparingConn is used by one goroutine at a time, as database/sql promises.
type preparingConn struct {
	fullConn
	idle map[string]statement // prepared and not in use
}

// take returns the prepared statement and removes it from idle: rows that are
// still being read need it alone. Nil: the text is better run as it is.
func (c *preparingConn) take(ctx context.Context, query string) (statement, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	if len(c.idle) >= maxStatements || strings.Contains(query, ";") {
		return nil, nil // it may be several statements
	}
	s, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	full, ok := s.(statement)
	if !ok {
		return nil, errors.Join(errors.New("the driver's statement lacks a method"), s.Close())
	}
	return full, nil
}

// put gives a statement back. After an error it is closed, so that nothing of
// what went wrong stays with it.
func (c *preparingConn) put(query string, s statement, err error) error {
	if _, twice := c.idle[query]; err != nil || twice {
		return s.Close()
	}
	c.idle[query] = s
	return nil
}

// ExecContext implements driver.ExecerContext.
func (c *preparingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.fullConn.ExecContext(ctx, query, args)
	}
	result, err := s.ExecContext(ctx, args)
	return result, errors.Join(err, c.put(query, s, err))
}

// QueryContext implements driver.QueryerContext.
func (c *preparingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.fullConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &preparedRows{Rows: rows, done: func(err error) error { return c.put(query, s, err) }}, nil
}

// Close closes what is prepared, and the connection.
func (c *preparingConn) Close() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(append(errs, c.fullConn.Close())...)
}

// preparedRows gives the statement back once they are read.
type preparedRows struct {
	driver.Rows
	done func(error) error // nil after Close
}

// Close implements driver.Rows.
func (r *preparedRows) Close() error {
	err := r.Rows.Close()
	if done := r.done; done != nil {
		r.done = nil
		err = errors.Join(err, done(err))
	}
	return err
}
