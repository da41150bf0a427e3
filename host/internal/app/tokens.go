package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// TokenPrefix starts every API token, so that people and secret scanners
// recognise one.
const TokenPrefix = "op_"

const (
	// tokenCacheFor bounds how long a token that was revoked by another
	// process still works.
	tokenCacheFor = time.Second
	// tokenCacheSize bounds memory; a full cache starts over.
	tokenCacheSize = 4096
	// tokenTouchEvery is how often a token's last use is written.
	tokenTouchEvery = time.Minute
)

// Tokens makes, checks and revokes API tokens.
type Tokens struct {
	store store.Tokens

	mu      sync.Mutex
	known   map[[32]byte]knownToken // guarded by mu
	revoked uint64                  // guarded by mu: how often a token has been revoked here
}

type knownToken struct {
	token   domain.Token
	checked time.Time // last seen in the database
	touched time.Time
}

// Create makes a token and returns it with its secret, which is not kept and
// can't be shown again.
func (t *Tokens) Create(ctx context.Context, actor Actor, name string, role domain.Role) (domain.Token, string, error) {
	if err := actor.Authorize(ManageTokens); err != nil {
		return domain.Token{}, "", err
	}
	if err := checkToken(name, role); err != nil {
		return domain.Token{}, "", err
	}
	var raw [32]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return domain.Token{}, "", err
	}
	secret := TokenPrefix + hex.EncodeToString(raw[:])
	token := domain.Token{
		ID: uuid.New(), OrgID: actor.OrgID, Name: name, Role: role,
		Hash: sha256.Sum256([]byte(secret)), CreatedAt: now(),
	}
	entry := actor.entry("token.create", "token:"+token.ID.String(), map[string]any{"role": role, "name": name})
	if err := t.store.CreateToken(ctx, token, entry); err != nil {
		return domain.Token{}, "", err
	}
	return token, secret, nil
}

func checkToken(name string, role domain.Role) error {
	err := fault.New(fault.Invalid, "invalid_token", "the token is not valid")
	switch role {
	case domain.Admin, domain.Integrator, domain.Ops, domain.Viewer:
	default:
		_ = err.WithField("role", "must be one of ADMIN, INTEGRATOR, OPS, VIEWER")
	}
	if utf8.RuneCountInString(name) > maxName || !printable(name) {
		_ = err.WithField("name", "must be at most %d printable characters", maxName)
	}
	if len(err.Violations) > 0 {
		return err
	}
	return nil
}

// List returns the organization's tokens, revoked ones too.
func (t *Tokens) List(ctx context.Context, actor Actor) ([]domain.Token, error) {
	if err := actor.Authorize(ManageTokens); err != nil {
		return nil, err
	}
	return t.store.ListTokens(ctx, actor.OrgID)
}

// Revoke ends a token: at once in this process, within a second in others.
func (t *Tokens) Revoke(ctx context.Context, actor Actor, id uuid.UUID) error {
	if err := actor.Authorize(ManageTokens); err != nil {
		return err
	}
	err := t.store.RevokeToken(ctx, actor.OrgID, id, actor.entry("token.revoke", "token:"+id.String(), nil))
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
	t.revoked++
	return err
}

// Authenticate returns the actor that a token stands for. It is looked up by
// its hash, so comparing takes the same time whatever the guess.
func (t *Tokens) Authenticate(ctx context.Context, secret string) (Actor, error) {
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) > 256 {
		return Actor{}, unauthenticated()
	}
	hash := sha256.Sum256([]byte(secret))
	entry, revoked, ok := t.cached(hash)
	if !ok {
		token, err := t.store.TokenByHash(ctx, hash)
		if err != nil {
			if fault.From(err).Kind == fault.NotFound {
				return Actor{}, unauthenticated()
			}
			return Actor{}, err
		}
		entry = t.remember(ctx, hash, token, revoked)
	}
	return Actor{OrgID: entry.token.OrgID, Role: entry.token.Role, Name: "token:" + entry.token.ID.String()}, nil
}

// cached returns a token that was seen in the database a moment ago, and how
// often one had been revoked until now.
func (t *Tokens) cached(hash [32]byte) (entry knownToken, revoked uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, ok = t.known[hash]
	return entry, t.revoked, ok && time.Since(entry.checked) < tokenCacheFor
}

// remember caches a token that the database knows and records its use. It does
// not cache it if one has been revoked since the database was asked: that may
// be this one.
func (t *Tokens) remember(ctx context.Context, hash [32]byte, token domain.Token, revoked uint64) knownToken {
	entry := knownToken{token: token, checked: time.Now()}
	t.mu.Lock()
	if t.known == nil || len(t.known) >= tokenCacheSize {
		t.known = make(map[[32]byte]knownToken)
	}
	entry.touched = t.known[hash].touched
	touch := time.Since(entry.touched) >= tokenTouchEvery
	if touch {
		entry.touched = entry.checked
	}
	if t.revoked == revoked {
		t.known[hash] = entry
	}
	t.mu.Unlock()
	if touch {
		// Best effort: a use that is not recorded must not fail the call.
		_ = t.store.TouchToken(ctx, token.ID)
	}
	return entry
}

func unauthenticated() error {
	return fault.New(fault.Unauthenticated, "unauthenticated", "a valid token is needed").
		WithHint("send the header `Authorization: Bearer op_…`; `orderport token create` makes a token")
}
