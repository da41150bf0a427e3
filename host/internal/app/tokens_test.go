package app

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// slowTokens is a store with one token. It answers for it as it was when it was
// asked, after calling meanwhile.
type slowTokens struct {
	store.Tokens
	token     domain.Token
	revoked   bool
	meanwhile func()
}

func (s *slowTokens) TokenByHash(context.Context, [32]byte) (domain.Token, error) {
	gone := s.revoked
	if call := s.meanwhile; call != nil {
		s.meanwhile = nil
		call()
	}
	if gone {
		return domain.Token{}, fault.New(fault.NotFound, "not_found", "there is none")
	}
	return s.token, nil
}

func (s *slowTokens) RevokeToken(context.Context, uuid.UUID, uuid.UUID, domain.AuditEntry) error {
	s.revoked = true
	return nil
}

func (s *slowTokens) TouchToken(context.Context, uuid.UUID) error { return nil }

func TestATokenIsRefusedAsSoonAsItsRevocationHasReturned(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]bool{
		"revoked before a call":                        false,
		"revoked while the database is asked about it": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			s := &slowTokens{token: domain.Token{ID: uuid.New(), OrgID: uuid.New(), Role: domain.Admin}}
			tokens := &Tokens{store: s}
			admin := Actor{OrgID: s.token.OrgID, Role: domain.Admin}
			revoke := func() {
				if err := tokens.Revoke(ctx, admin, s.token.ID); err != nil {
					t.Error(err)
				}
			}
			if between {
				s.meanwhile = revoke
			}
			if _, err := tokens.Authenticate(ctx, TokenPrefix+"x"); err != nil {
				t.Fatal(err)
			}
			if !between {
				revoke()
			}
			if _, err := tokens.Authenticate(ctx, TokenPrefix+"x"); fault.From(err) == nil || fault.From(err).Kind != fault.Unauthenticated {
				t.Errorf("afterwards it got %v", err)
			}
		})
	}
}
