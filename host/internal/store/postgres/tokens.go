package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const tokenColumns = `id, org_id, name, role, token_sha256, created_at, last_used_at, revoked_at`

func scanToken(row pgx.CollectableRow) (domain.Token, error) {
	var t domain.Token
	var hash []byte
	if err := row.Scan(&t.ID, &t.OrgID, &t.Name, (*string)(&t.Role), &hash, &t.CreatedAt, &t.LastUsedAt, &t.RevokedAt); err != nil {
		return domain.Token{}, err
	}
	t.Hash = [32]byte(hash)
	inUTC(&t.CreatedAt, t.LastUsedAt, t.RevokedAt)
	return t, nil
}

// CreateToken implements store.Tokens.
func (s *Store) CreateToken(ctx context.Context, token domain.Token, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create token", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO api_token (id, org_id, name, role, token_sha256, created_at)
			VALUES ($1, $2, $3, $4, $5, COALESCE($6, now()))`,
			token.ID, token.OrgID, token.Name, string(token.Role), token.Hash[:], timeOrNull(token.CreatedAt))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// TokenByHash implements store.Tokens.
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (domain.Token, error) {
	t, err := one(ctx, s.pool, rules.TokenNotFound(), scanToken,
		`SELECT `+tokenColumns+` FROM api_token WHERE token_sha256 = $1 AND revoked_at IS NULL`, hash[:])
	if err != nil {
		return domain.Token{}, fmt.Errorf("find token: %w", err)
	}
	return t, nil
}

// ListTokens implements store.Tokens.
func (s *Store) ListTokens(ctx context.Context, orgID uuid.UUID) ([]domain.Token, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+tokenColumns+` FROM api_token WHERE org_id = $1 ORDER BY created_at DESC, id DESC`, orgID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanToken)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// RevokeToken implements store.Tokens.
func (s *Store) RevokeToken(ctx context.Context, orgID, id uuid.UUID, audit domain.AuditEntry) error {
	return s.inTx(ctx, "revoke token", func(tx pgx.Tx) error {
		var before bool
		err := tx.QueryRow(ctx, `SELECT revoked_at IS NOT NULL FROM api_token WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`,
			orgID, id).Scan(&before)
		if err != nil {
			return orMissing(err, rules.TokenNotFound())
		}
		if before {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE api_token SET revoked_at = now() WHERE id = $1`, id); err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// TouchToken implements store.Tokens.
func (s *Store) TouchToken(ctx context.Context, id uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `UPDATE api_token SET last_used_at = now()
		WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, id)
	if err != nil {
		return fmt.Errorf("touch token: %w", err)
	}
	return nil
}
