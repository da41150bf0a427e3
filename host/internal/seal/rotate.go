package seal

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// Rows is the part of the store that Rotate needs; see store.Connections.
type Rows interface {
	ConnectionsToReseal(ctx context.Context, keyID string, after uuid.UUID, limit int) ([]domain.Connection, error)
	Reseal(ctx context.Context, id uuid.UUID, old []byte, sealed domain.SealedConfig) (bool, error)
}

// Rotation says what Rotate has done so far.
type Rotation struct {
	Resealed int
	// Failed are the connections whose config does not open. They are as they
	// were; their keys are still needed.
	Failed []Failure
}

// Failure is a connection that could not be re-sealed.
type Failure struct {
	Connection domain.Connection
	Err        error // ErrUnknownKey or ErrNotOpenable
}

const (
	rotatePage = 100
	// maxPasses bounds how often Rotate starts over because somebody else
	// changed rows under it.
	maxPasses = 10
)

// Rotate re-seals every row that is not sealed with the keyring's current key,
// and every one that is not bound to its row. It works beside running hosts,
// provided that they know the current key already. It can be interrupted at
// any moment and run again: every row is changed by itself, and only if it
// still is what was read. progress is called after each page and may be nil.
//
// The error is the store's. A row that does not open is no error; it is in
// the result.
func Rotate(ctx context.Context, rows Rows, ring *Keyring, progress func(Rotation)) (Rotation, error) {
	var done Rotation
	for range maxPasses {
		done.Failed = nil
		changed, err := ring.pass(ctx, rows, &done, progress)
		if err != nil || !changed {
			return done, err
		}
	}
	return done, fmt.Errorf("rotate keys: configs kept changing during %d passes", maxPasses)
}

// pass goes through all rows once. It reports whether a row was changed by
// somebody else, perhaps by a host that still seals with an old key.
func (r *Keyring) pass(ctx context.Context, rows Rows, done *Rotation, progress func(Rotation)) (changed bool, err error) {
	var after uuid.UUID
	for {
		page, err := rows.ConnectionsToReseal(ctx, r.CurrentID(), after, rotatePage)
		if err != nil {
			return false, fmt.Errorf("rotate keys: %w", err)
		}
		for _, c := range page {
			ours, err := r.reseal(ctx, rows, c, done)
			if err != nil {
				return false, fmt.Errorf("rotate keys: connection %s: %w", c.ID, err)
			}
			changed = changed || !ours
			after = c.ID
		}
		if progress != nil && len(page) > 0 {
			progress(*done)
		}
		if len(page) < rotatePage {
			return changed, nil
		}
	}
}

// reseal reports false if the row was changed by somebody else meanwhile.
func (r *Keyring) reseal(ctx context.Context, rows Rows, c domain.Connection, done *Rotation) (bool, error) {
	plain, err := r.Open(c.Sealed, BindingOf(c))
	if err != nil {
		done.Failed = append(done.Failed, Failure{Connection: c, Err: err})
		return true, nil
	}
	sealed, err := r.Seal(plain, BindingOf(c))
	if err != nil {
		return false, err
	}
	ours, err := rows.Reseal(ctx, c.ID, c.Sealed.Blob, sealed)
	if ours {
		done.Resealed++
	}
	return ours, err
}
