package storetest

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

var tenantTests = map[string]func(w *World){
	"an organization is found by slug and id": func(w *World) {
		bySlug, err := w.S.OrganizationBySlug(w.Ctx, w.Org.Slug)
		w.must(err)
		byID, err := w.S.OrganizationByID(w.Ctx, w.Org.ID)
		w.must(err)
		same(w.T, bySlug, w.Org)
		same(w.T, byID, w.Org)
	},
	"organizations are listed by slug": func(w *World) {
		other := w.NewOrg()
		list, err := w.S.ListOrganizations(w.Ctx)
		w.must(err)
		want(w.T, "organizations", len(list), 2)
		want(w.T, "in order", list[0].Slug < list[1].Slug, true)
		want(w.T, "the new one is there", list[0].ID == other.ID || list[1].ID == other.ID, true)
	},
	"a slug is taken once": func(w *World) {
		twin := domain.Organization{ID: uuid.New(), Slug: w.Org.Slug, Name: "Twin", CreatedAt: now()}
		err := w.S.CreateOrganization(w.Ctx, twin, w.audit(twin.ID, "organization.create"))
		wantFault(w.T, err, fault.Conflict, "organization_exists")
		_, err = w.S.OrganizationByID(w.Ctx, twin.ID)
		wantFault(w.T, err, fault.NotFound, "organization_not_found")
	},
	"an unknown slug is not found": func(w *World) {
		_, err := w.S.OrganizationBySlug(w.Ctx, "nobody")
		wantFault(w.T, err, fault.NotFound, "organization_not_found")
	},
	"a token is found by its hash until it is revoked": func(w *World) {
		token := w.newToken(w.Org.ID)
		found, err := w.S.TokenByHash(w.Ctx, token.Hash)
		w.must(err)
		same(w.T, found, token)
		for range 2 { // revoking is repeatable
			w.must(w.S.RevokeToken(w.Ctx, w.Org.ID, token.ID, w.audit(w.Org.ID, "token.revoke")))
		}
		_, err = w.S.TokenByHash(w.Ctx, token.Hash)
		wantFault(w.T, err, fault.NotFound, "token_not_found")
		list, err := w.S.ListTokens(w.Ctx, w.Org.ID)
		w.must(err)
		want(w.T, "tokens", len(list), 1)
		want(w.T, "is revoked", list[0].RevokedAt != nil, true)
		want(w.T, "audit entries of the revocation", w.countAudit("token.revoke"), 1)
	},
	"another organization can't revoke a token": func(w *World) {
		token := w.newToken(w.Org.ID)
		other := w.NewOrg()
		err := w.S.RevokeToken(w.Ctx, other.ID, token.ID, w.audit(other.ID, "token.revoke"))
		wantFault(w.T, err, fault.NotFound, "token_not_found")
		_, err = w.S.TokenByHash(w.Ctx, token.Hash)
		w.must(err)
	},
	"a token of an unknown organization is refused": func(w *World) {
		token := domain.Token{ID: uuid.New(), OrgID: uuid.New(), Role: domain.Viewer, Hash: [32]byte{1}, CreatedAt: now()}
		err := w.S.CreateToken(w.Ctx, token, w.audit(w.Org.ID, "token.create"))
		wantFault(w.T, err, fault.NotFound, "organization_not_found")
	},
	"a use is recorded at most once a minute": func(w *World) {
		token := w.newToken(w.Org.ID)
		w.must(w.S.TouchToken(w.Ctx, token.ID))
		first, err := w.S.TokenByHash(w.Ctx, token.Hash)
		w.must(err)
		want(w.T, "used", first.LastUsedAt != nil, true)
		w.must(w.S.TouchToken(w.Ctx, token.ID))
		second, err := w.S.TokenByHash(w.Ctx, token.Hash)
		w.must(err)
		want(w.T, "second use within a minute", *second.LastUsedAt, *first.LastUsedAt)
	},
}

var auditTests = map[string]func(w *World){
	"entries come back as written, newest first, page by page": func(w *World) {
		org := w.NewOrg() // has one entry, of its creation
		var written []domain.AuditEntry
		for range 5 {
			e := w.audit(org.ID, "test.done")
			e.Details = json.RawMessage(`{"a": 1}`)
			w.must(w.S.AppendAudit(w.Ctx, e))
			written = append([]domain.AuditEntry{e}, written...)
		}
		var got []domain.AuditEntry
		page := store.Page{Limit: 2}
		for {
			entries, next, err := w.S.ListAudit(w.Ctx, org.ID, page)
			w.must(err)
			got = append(got, entries...)
			if next == "" {
				break
			}
			want(w.T, "full page", len(entries), 2)
			page.Cursor = next
		}
		want(w.T, "entries", len(got), 6)
		same(w.T, got[:5], written)
	},
	"an entry that is written again stays one": func(w *World) {
		e := w.audit(w.Org.ID, "test.repeated")
		w.must(w.S.AppendAudit(w.Ctx, e))
		w.must(w.S.AppendAudit(w.Ctx, e))
		want(w.T, "entries", w.countAudit("test.repeated"), 1)
	},
	"an entry without an organization is kept": func(w *World) {
		w.must(w.S.AppendAudit(w.Ctx, w.audit(uuid.Nil, "key.rotate")))
	},
	"a cursor that can't be read is malformed": func(w *World) {
		_, _, err := w.S.ListAudit(w.Ctx, w.Org.ID, store.Page{Limit: 1, Cursor: "nonsense"})
		wantFault(w.T, err, fault.Malformed, "bad_cursor")
	},
	"a change that fails leaves no entry": func(w *World) {
		twin := domain.Organization{ID: w.Org.ID, Slug: w.Org.Slug, Name: "Twin", CreatedAt: now()}
		if err := w.S.CreateOrganization(w.Ctx, twin, w.audit(w.Org.ID, "test.failed")); err == nil {
			w.T.Fatal("created an organization twice")
		}
		want(w.T, "entries", w.countAudit("test.failed"), 0)
	},
}

func (w *World) newToken(orgID uuid.UUID) domain.Token {
	w.T.Helper()
	id := uuid.New()
	token := domain.Token{ID: id, OrgID: orgID, Name: "till", Role: domain.Integrator, Hash: sha256.Sum256(id[:]), CreatedAt: now()}
	w.must(w.S.CreateToken(w.Ctx, token, w.audit(orgID, "token.create")))
	return token
}

// countAudit counts the world's entries with an action.
func (w *World) countAudit(action string) int {
	w.T.Helper()
	entries, _, err := w.S.ListAudit(w.Ctx, w.Org.ID, store.Page{Limit: 500})
	w.must(err)
	n := 0
	for _, e := range entries {
		if e.Action == action {
			n++
		}
	}
	return n
}

// same fails the test unless got and want are equal in every field.
func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("differs (-want +got):\n%s", diff)
	}
}
