package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

var errAway = errors.New("the database is away")

// line is a store behind a line that can be cut: while it is, every call that
// the engine makes fails without effect. It makes a host look dead, or paused,
// to all others.
type line struct {
	store.Store
	cut atomic.Bool
}

func (l *line) err() error {
	if l.cut.Load() {
		return errAway
	}
	return nil
}

func (l *line) Heartbeat(ctx context.Context, id uuid.UUID, types []string) (bool, error) {
	if err := l.err(); err != nil {
		return false, err
	}
	return l.Store.Heartbeat(ctx, id, types)
}

func (l *line) RegisterHost(ctx context.Context, h domain.HostNode) error {
	if err := l.err(); err != nil {
		return err
	}
	return l.Store.RegisterHost(ctx, h)
}

func (l *line) DueConnections(ctx context.Context, types []string) ([]domain.Connection, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Store.DueConnections(ctx, types)
}

func (l *line) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Store.Claim(ctx, req)
}

func (l *line) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Store.SaveAll(ctx, saves)
}

func (l *line) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Store.FinishAll(ctx, finishes)
}

// flaw makes the first calls of some methods fail: before they take effect, or
// after.
type flaw struct {
	store.Store
	claims, saves, finishes atomic.Int32 // how many calls are still to fail
	applied                 bool         // they take effect all the same
}

func (f *flaw) fails(left *atomic.Int32) bool { return left.Add(-1) >= 0 }

func (f *flaw) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	if !f.fails(&f.claims) {
		return f.Store.Claim(ctx, req)
	}
	if f.applied {
		if _, err := f.Store.Claim(ctx, req); err != nil {
			return nil, err
		}
	}
	return nil, errAway
}

func (f *flaw) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if !f.fails(&f.saves) {
		return f.Store.SaveAll(ctx, saves)
	}
	if f.applied {
		if _, err := f.Store.SaveAll(ctx, saves); err != nil {
			return nil, err
		}
	}
	return nil, errAway
}

func (f *flaw) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	if !f.fails(&f.finishes) {
		return f.Store.FinishAll(ctx, finishes)
	}
	if f.applied {
		if _, err := f.Store.FinishAll(ctx, finishes); err != nil {
			return nil, err
		}
	}
	return nil, errAway
}
