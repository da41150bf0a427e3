package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const tokenColumns = `id, org_id, name, role, token_sha256, created_at, last_used_at, revoked_at`

func scanToken(row scanner) (t domain.Token, err error) {
	return t, row.Scan(&t.ID, &t.OrgID, &t.Name, &t.Role, hashInto(&t.Hash), moment(&t.CreatedAt),
		momentOrNil(&t.LastUsedAt), momentOrNil(&t.RevokedAt))
}

// CreateToken implements store.Tokens.
func (s *Store) CreateToken(ctx context.Context, token domain.Token, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create token", func(ctx context.Context, tx *sql.Tx) error {
		if err := needOrganization(ctx, tx, token.OrgID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO api_token (id, org_id, name, role, token_sha256, created_at)
			VALUES (?, ?, ?, ?, ?, ?)`, token.ID.String(), token.OrgID.String(), token.Name, string(token.Role),
			token.Hash[:], micros(orElse(token.CreatedAt, s.now())))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// TokenByHash implements store.Tokens.
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (domain.Token, error) {
	t, err := one(ctx, s.reader, rules.TokenNotFound(), scanToken,
		`SELECT `+tokenColumns+` FROM api_token WHERE token_sha256 = ? AND revoked_at IS NULL`, hash[:])
	if err != nil {
		return domain.Token{}, fmt.Errorf("find token: %w", err)
	}
	return t, nil
}

// ListTokens implements store.Tokens.
func (s *Store) ListTokens(ctx context.Context, orgID uuid.UUID) ([]domain.Token, error) {
	list, err := all(ctx, s.reader, scanToken,
		`SELECT `+tokenColumns+` FROM api_token WHERE org_id = ? ORDER BY created_at DESC, id DESC`, orgID.String())
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// RevokeToken implements store.Tokens.
func (s *Store) RevokeToken(ctx context.Context, orgID, id uuid.UUID, audit domain.AuditEntry) error {
	return s.inTx(ctx, "revoke token", func(ctx context.Context, tx *sql.Tx) error {
		token, err := one(ctx, tx, rules.TokenNotFound(), scanToken,
			`SELECT `+tokenColumns+` FROM api_token WHERE id = ? AND org_id = ?`, id.String(), orgID.String())
		if err != nil || token.RevokedAt != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_token SET revoked_at = ? WHERE id = ?`, micros(s.now()), id.String()); err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// TouchToken implements store.Tokens. It looks before it writes, since a write
// has to wait for the one writer.
func (s *Store) TouchToken(ctx context.Context, id uuid.UUID) error {
	const due = `id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)`
	now := s.now()
	before := micros(now.Add(-time.Minute))
	isDue, err := exists(ctx, s.reader, `SELECT 1 FROM api_token WHERE `+due, id.String(), before)
	if err != nil {
		return fmt.Errorf("touch token: %w", err)
	}
	if !isDue {
		return nil
	}
	return s.inTx(ctx, "touch token", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE api_token SET last_used_at = ?3 WHERE `+due, id.String(), before, micros(now))
		return err
	})
}
