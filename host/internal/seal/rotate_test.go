package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/seal"
)

// rows keeps connections in memory, by the contract of store.Connections.
type rows struct {
	all []domain.Connection
	// beforeReseal runs before each write; an error ends the rotation.
	beforeReseal func(*domain.Connection) error
}

func (r *rows) ConnectionsToReseal(_ context.Context, keyID string, after uuid.UUID, limit int) ([]domain.Connection, error) {
	var page []domain.Connection
	for _, c := range r.all {
		if bytes.Compare(c.ID[:], after[:]) > 0 && (c.Sealed.KeyID != keyID || c.Sealed.Version == 0) && len(page) < limit {
			page = append(page, c)
		}
	}
	return page, nil
}

func (r *rows) Reseal(_ context.Context, id uuid.UUID, old []byte, sealed domain.SealedConfig) (bool, error) {
	for i := range r.all {
		if r.all[i].ID != id {
			continue
		}
		if r.beforeReseal != nil {
			if err := r.beforeReseal(&r.all[i]); err != nil {
				return false, err
			}
		}
		if !bytes.Equal(r.all[i].Sealed.Blob, old) {
			return false, nil
		}
		r.all[i].Sealed = sealed
		return true, nil
	}
	return false, errors.New("no such row")
}

// sealedRows makes n connections with config "config <i>".
func sealedRows(t *testing.T, n int, ring *seal.Keyring) *rows {
	t.Helper()
	r := &rows{}
	for range n {
		r.all = append(r.all, domain.Connection{ID: uuid.New(), OrgID: uuid.New(), ConnectorType: "T"})
	}
	slices.SortFunc(r.all, func(a, b domain.Connection) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i := range r.all {
		r.all[i].Sealed = mustSeal(t, ring, fmt.Sprint("config ", i), seal.BindingOf(r.all[i]))
	}
	return r
}

// wantRotated checks that ring, and it alone, opens every row but the skipped.
func (r *rows) wantRotated(t *testing.T, ring *seal.Keyring, skip ...int) {
	t.Helper()
	for i, c := range r.all {
		if slices.Contains(skip, i) {
			continue
		}
		plain, err := ring.Open(c.Sealed, seal.BindingOf(c))
		if err != nil || string(plain) != fmt.Sprint("config ", i) || c.Sealed.Version != 1 || c.Sealed.KeyID != ring.CurrentID() {
			t.Fatalf("row %d: %q, version %d, %v", i, plain, c.Sealed.Version, err)
		}
	}
}

func TestRotateResealsEveryRow(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.GenerateKey(), seal.GenerateKey()
	r := sealedRows(t, 250, seal.NewKeyring(oldKey))
	both := seal.NewKeyring(newKey, oldKey)
	var reports []int
	done, err := seal.Rotate(t.Context(), r, both, func(p seal.Rotation) { reports = append(reports, p.Resealed) })
	if err != nil || done.Resealed != 250 || len(done.Failed) != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if !slices.Equal(reports, []int{100, 200, 250}) {
		t.Errorf("progress %v", reports)
	}
	r.wantRotated(t, seal.NewKeyring(newKey))
	again, err := seal.Rotate(t.Context(), r, both, nil)
	if err != nil || again.Resealed != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestRotateBindsRowsOfVersion0(t *testing.T) {
	t.Parallel()
	ring := seal.NewKeyring(mustKey(t, countingKey))
	r := sealedRows(t, 1, ring)
	r.all[0].Sealed = domain.SealedConfig{Blob: mustHex(t, vectorVersion0), KeyID: vectorKeyID}
	if done, err := seal.Rotate(t.Context(), r, ring, nil); err != nil || done.Resealed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	c := r.all[0]
	if plain, err := ring.Open(c.Sealed, seal.BindingOf(c)); err != nil || string(plain) != plainConfig || c.Sealed.Version != 1 {
		t.Errorf("%q, version %d, %v", plain, c.Sealed.Version, err)
	}
}

func TestRotateLeavesRowsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.GenerateKey(), seal.GenerateKey()
	r := sealedRows(t, 5, seal.NewKeyring(oldKey))
	r.all[1].Sealed.Blob[20] ^= 1
	lost := mustSeal(t, seal.NewKeyring(seal.GenerateKey()), "x", seal.BindingOf(r.all[3]))
	r.all[3].Sealed = lost
	done, err := seal.Rotate(t.Context(), r, seal.NewKeyring(newKey, oldKey), nil)
	if err != nil || done.Resealed != 3 || len(done.Failed) != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if !errors.Is(done.Failed[0].Err, seal.ErrNotOpenable) || !errors.Is(done.Failed[1].Err, seal.ErrUnknownKey) {
		t.Errorf("%v and %v", done.Failed[0].Err, done.Failed[1].Err)
	}
	if done.Failed[0].Connection.ID != r.all[1].ID || !bytes.Equal(r.all[3].Sealed.Blob, lost.Blob) {
		t.Error("a row that does not open was changed")
	}
	r.wantRotated(t, seal.NewKeyring(newKey), 1, 3)
}

func TestRotateGoesOnWhereItWasInterrupted(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.GenerateKey(), seal.GenerateKey()
	r := sealedRows(t, 30, seal.NewKeyring(oldKey))
	stop, writes := errors.New("database is gone"), 0
	r.beforeReseal = func(*domain.Connection) error {
		if writes++; writes > 12 {
			return stop
		}
		return nil
	}
	both := seal.NewKeyring(newKey, oldKey)
	if done, err := seal.Rotate(t.Context(), r, both, nil); !errors.Is(err, stop) || done.Resealed != 12 {
		t.Fatalf("%+v, %v", done, err)
	}
	for i, c := range r.all { // a host that knows both keys opens every row meanwhile
		if _, err := both.Open(c.Sealed, seal.BindingOf(c)); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	r.beforeReseal = nil
	if done, err := seal.Rotate(t.Context(), r, both, nil); err != nil || done.Resealed != 18 {
		t.Fatalf("%+v, %v", done, err)
	}
	r.wantRotated(t, seal.NewKeyring(newKey))
}

func TestRotateDoesNotUndoAChangeMadeMeanwhile(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.GenerateKey(), seal.GenerateKey()
	oldHost := seal.NewKeyring(oldKey)
	r := sealedRows(t, 3, oldHost)
	changed := false
	r.beforeReseal = func(c *domain.Connection) error {
		if c.ID == r.all[1].ID && !changed {
			changed = true // a host that still seals with the old key saves a config
			c.Sealed = mustSeal(t, oldHost, "config 1 changed", seal.BindingOf(*c))
		}
		return nil
	}
	done, err := seal.Rotate(t.Context(), r, seal.NewKeyring(newKey, oldKey), nil)
	if err != nil || done.Resealed != 3 {
		t.Fatalf("%+v, %v", done, err)
	}
	plain, err := seal.NewKeyring(newKey).Open(r.all[1].Sealed, seal.BindingOf(r.all[1]))
	if err != nil || string(plain) != "config 1 changed" {
		t.Errorf("%q, %v", plain, err)
	}
	r.wantRotated(t, seal.NewKeyring(newKey), 1)
}

func TestRotateGivesUpOnRowsThatNeverStandStill(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.GenerateKey(), seal.GenerateKey()
	oldHost := seal.NewKeyring(oldKey)
	r := sealedRows(t, 1, oldHost)
	r.beforeReseal = func(c *domain.Connection) error {
		c.Sealed = mustSeal(t, oldHost, "x", seal.BindingOf(*c))
		return nil
	}
	if done, err := seal.Rotate(t.Context(), r, seal.NewKeyring(newKey, oldKey), nil); err == nil {
		t.Errorf("%+v", done)
	}
}
