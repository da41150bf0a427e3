package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store/rules"
)

const organizationColumns = `id, slug, name, created_at`

func scanOrganization(row scanner) (o domain.Organization, err error) {
	return o, row.Scan(&o.ID, &o.Slug, &o.Name, moment(&o.CreatedAt))
}

// CreateOrganization implements store.Organizations.
func (s *Store) CreateOrganization(ctx context.Context, org domain.Organization, audit domain.AuditEntry) error {
	return s.inTx(ctx, "create organization", func(ctx context.Context, tx *sql.Tx) error {
		taken, err := exists(ctx, tx, `SELECT 1 FROM organization WHERE slug = ?`, org.Slug)
		if err != nil {
			return err
		}
		if taken {
			return rules.OrganizationExists()
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO organization (id, slug, name, created_at) VALUES (?, ?, ?, ?)`,
			org.ID.String(), org.Slug, org.Name, micros(orElse(org.CreatedAt, s.now())))
		if err != nil {
			return err
		}
		return appendAudit(ctx, tx, audit)
	})
}

// needOrganization is what a foreign key would say, with a name.
func needOrganization(ctx context.Context, tx *sql.Tx, id uuid.UUID) error {
	found, err := exists(ctx, tx, `SELECT 1 FROM organization WHERE id = ?`, id.String())
	if err != nil {
		return err
	}
	if !found {
		return rules.OrganizationNotFound()
	}
	return nil
}

// OrganizationBySlug implements store.Organizations.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (domain.Organization, error) {
	return s.organization(ctx, `slug = ?`, slug)
}

// OrganizationByID implements store.Organizations.
func (s *Store) OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error) {
	return s.organization(ctx, `id = ?`, id.String())
}

func (s *Store) organization(ctx context.Context, condition, arg string) (domain.Organization, error) {
	o, err := one(ctx, s.reader, rules.OrganizationNotFound(), scanOrganization,
		`SELECT `+organizationColumns+` FROM organization WHERE `+condition, arg)
	if err != nil {
		return domain.Organization{}, fmt.Errorf("read organization: %w", err)
	}
	return o, nil
}

// ListOrganizations implements store.Organizations.
func (s *Store) ListOrganizations(ctx context.Context) ([]domain.Organization, error) {
	list, err := all(ctx, s.reader, scanOrganization, `SELECT `+organizationColumns+` FROM organization ORDER BY slug`)
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	return list, nil
}
