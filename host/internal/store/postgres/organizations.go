package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const organizationColumns = `id, slug, name, created_at`

func scanOrganization(row pgx.CollectableRow) (domain.Organization, error) {
	var o domain.Organization
	err := row.Scan(&o.ID, &o.Slug, &o.Name, &o.CreatedAt)
	inUTC(&o.CreatedAt)
	return o, err
}

// CreateOrganization implements store.Organizations.
func (s *Store) CreateOrganization(ctx context.Context, org domain.Organization, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create organization", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO organization (id, slug, name, created_at) VALUES ($1, $2, $3, COALESCE($4, now()))`,
			org.ID, org.Slug, org.Name, timeOrNull(org.CreatedAt))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// OrganizationBySlug implements store.Organizations.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (domain.Organization, error) {
	return s.organization(ctx, `slug = $1`, slug)
}

// OrganizationByID implements store.Organizations.
func (s *Store) OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error) {
	return s.organization(ctx, `id = $1`, id)
}

func (s *Store) organization(ctx context.Context, condition string, arg any) (domain.Organization, error) {
	o, err := one(ctx, s.pool, rules.OrganizationNotFound(), scanOrganization,
		`SELECT `+organizationColumns+` FROM organization WHERE `+condition, arg)
	if err != nil {
		return domain.Organization{}, fmt.Errorf("read organization: %w", err)
	}
	return o, nil
}

// ListOrganizations implements store.Organizations.
func (s *Store) ListOrganizations(ctx context.Context) ([]domain.Organization, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+organizationColumns+` FROM organization ORDER BY slug`)
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanOrganization)
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	return list, nil
}
