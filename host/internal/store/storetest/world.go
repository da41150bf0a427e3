package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// connectorType is the type of connections that a world makes by itself.
const connectorType = "DROPZONE_JSON_V1"

// sealedLike has the shape of a sealed config: IV, ciphertext and tag.
var sealedLike = bytes.Repeat([]byte{7}, 12+20+16)

// World is a store with one organization, one connection and one host, and
// short words for what tests do with them.
type World struct {
	T    testing.TB
	Ctx  context.Context
	S    store.Store
	Org  domain.Organization
	Conn domain.Connection
	Host uuid.UUID
}

// NewWorld fills a store.
func NewWorld(t testing.TB, s store.Store) *World {
	t.Helper()
	w := &World{T: t, Ctx: t.Context(), S: s}
	w.Org = w.NewOrg()
	w.Conn = w.NewConn(w.Org.ID, connectorType)
	w.Host = w.NewHost("host-a")
	return w
}

// On returns the world as another store on the same database sees it.
func (w *World) On(s store.Store) *World {
	other := *w
	other.S = s
	return &other
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("unexpected error: %v", err)
	}
}

// now is the present as databases keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (w *World) audit(orgID uuid.UUID, action string) domain.AuditEntry {
	id, err := uuid.NewV7()
	w.must(err)
	return domain.AuditEntry{ID: id, OrgID: orgID, At: now(), Actor: "cli:test", Action: action, Subject: "test:1"}
}

// NewOrg creates an organization.
func (w *World) NewOrg() domain.Organization {
	w.T.Helper()
	org := domain.Organization{ID: uuid.New(), Name: "Acme GmbH", CreatedAt: now()}
	org.Slug = "acme-" + org.ID.String()[:8]
	w.must(w.S.CreateOrganization(w.Ctx, org, w.audit(org.ID, "organization.create")))
	return org
}

// NewConn creates an active connection.
func (w *World) NewConn(orgID uuid.UUID, kind string) domain.Connection {
	w.T.Helper()
	at := now()
	c := domain.Connection{
		ID: uuid.New(), OrgID: orgID, ConnectorType: kind, Status: domain.Active,
		Sealed:    domain.SealedConfig{Blob: sealedLike, Version: 1, KeyID: "key-1"},
		Health:    domain.Health{State: domain.HealthUnknown},
		CreatedAt: at, UpdatedAt: at,
	}
	w.must(w.S.CreateConnection(w.Ctx, c, w.audit(orgID, "connection.create")))
	return c
}

// NewHost registers a host.
func (w *World) NewHost(name string) uuid.UUID {
	w.T.Helper()
	id := uuid.New()
	w.must(w.S.RegisterHost(w.Ctx, domain.HostNode{ID: id, Name: name, Version: "test", ConnectorTypes: []string{connectorType}}))
	return id
}

// Order is a new order for the world's connection.
func (w *World) Order() store.Acceptance { return w.OrderFor(w.Conn) }

// OrderFor is a new order for a connection.
func (w *World) OrderFor(c domain.Connection) store.Acceptance {
	id := uuid.New()
	number := "PO-" + id.String()[:8]
	a := store.Acceptance{
		Draft: domain.DraftOrder{OrgID: c.OrgID, ID: id, ExternalOrderNumber: &number, CreatedAt: now()},
		Export: domain.Export{
			ID: uuid.New(), OrgID: c.OrgID, ConnectionID: c.ID, DraftOrderID: id,
			FormatVersion: domain.FormatVersion, Status: domain.Pending, CreatedAt: now(),
		},
	}
	withContent(&a, fmt.Sprintf(`{"id":%q,"qty":"10.5"}`, id))
	return a
}

func withContent(a *store.Acceptance, content string) {
	a.Draft.Content = []byte(content)
	a.Draft.SHA256 = sha256.Sum256(a.Draft.Content)
}

// Again is the same order handed in once more, by a caller that has forgotten
// the first time.
func Again(a store.Acceptance) store.Acceptance {
	a.Export.ID = uuid.New()
	a.Export.CreatedAt = now()
	a.Draft.CreatedAt = now()
	return a
}

// Accept accepts orders that are new and returns their exports.
func (w *World) Accept(batch ...store.Acceptance) []domain.Export {
	w.T.Helper()
	answers, err := w.S.Accept(w.Ctx, batch)
	w.must(err)
	exports := make([]domain.Export, len(answers))
	for i, a := range answers {
		if a.Err != nil || !a.Created {
			w.T.Fatalf("order %d was not created: %+v", i, a)
		}
		exports[i] = a.Export
	}
	return exports
}

// AcceptN accepts n new orders.
func (w *World) AcceptN(n int) []domain.Export {
	w.T.Helper()
	batch := make([]store.Acceptance, n)
	for i := range batch {
		batch[i] = w.Order()
	}
	return w.Accept(batch...)
}

// Request asks for the world's connection and host.
func (w *World) Request(limit int) store.ClaimRequest {
	return store.ClaimRequest{HostID: w.Host, ConnectionID: w.Conn.ID, Limit: limit, Lease: time.Minute}
}

// Claim claims up to limit exports.
func (w *World) Claim(limit int) []store.Claimed {
	w.T.Helper()
	claimed, err := w.S.Claim(w.Ctx, w.Request(limit))
	w.must(err)
	return claimed
}

// ClaimOne accepts an order and claims it.
func (w *World) ClaimOne() domain.Export {
	w.T.Helper()
	w.AcceptN(1)
	claimed := w.Claim(1)
	if len(claimed) != 1 {
		w.T.Fatalf("claimed %d exports, want 1", len(claimed))
	}
	return claimed[0].Export
}

// Ended is how the running attempt of a claimed export ends.
func Ended(e domain.Export, outcome domain.Outcome, status domain.ExportStatus) store.Finish {
	return store.Finish{ExportID: e.ID, HostID: e.Lease.HostID, Attempt: e.AttemptCount, Outcome: outcome, Status: status}
}

// Delivered ends the running attempt with success.
func Delivered(e domain.Export) store.Finish {
	f := Ended(e, domain.OutcomeDelivered, domain.Sent)
	f.ExternalRef = Ref(e)
	return f
}

// Ref is the reference that an ack for the export names.
func Ref(e domain.Export) string { return "ref-" + e.ID.String() }

// Finish ends attempts that nobody has taken over.
func (w *World) Finish(finishes ...store.Finish) {
	w.T.Helper()
	errs, err := w.S.FinishAll(w.Ctx, finishes)
	w.must(err)
	w.must(errors.Join(errs...))
}

// FailWith accepts an order and lets it end FAILED.
func (w *World) FailWith(e *domain.ExportError) domain.Export {
	w.T.Helper()
	claimed := w.ClaimOne()
	f := Ended(claimed, domain.OutcomeFailed, domain.Failed)
	f.Error, f.ExternalRef = e, Ref(claimed)
	w.Finish(f)
	return w.Get(claimed.ID)
}

// Deliver accepts n orders and lets them end SENT.
func (w *World) Deliver(n int) []domain.Export {
	w.T.Helper()
	w.AcceptN(n)
	claimed := w.Claim(n)
	finishes := make([]store.Finish, len(claimed))
	for i, c := range claimed {
		finishes[i] = Delivered(c.Export)
	}
	w.Finish(finishes...)
	exports := make([]domain.Export, len(claimed))
	for i, c := range claimed {
		exports[i] = w.Get(c.Export.ID)
	}
	return exports
}

// Get reads an export of the world's organization.
func (w *World) Get(id uuid.UUID) domain.Export {
	w.T.Helper()
	e, err := w.S.Export(w.Ctx, w.Org.ID, id)
	w.must(err)
	return e
}

// wantFault fails the test unless err is the fault with that kind and code.
func wantFault(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want the fault %s", err, code)
	}
	if f.Kind != kind || f.Code != code {
		t.Fatalf("got fault %s (kind %d), want %s (kind %d): %v", f.Code, f.Kind, code, kind, err)
	}
}

// want fails the test unless got equals want.
func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
