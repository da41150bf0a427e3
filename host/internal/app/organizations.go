package app

import (
	"context"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// Organizations creates and finds tenants.
type Organizations struct {
	store store.Organizations
}

var slugPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

const maxName = 200

// Create makes an organization. An empty name is replaced by the slug.
func (o *Organizations) Create(ctx context.Context, actor Actor, slug, name string) (domain.Organization, error) {
	if err := actor.Authorize(ManageOrgs); err != nil {
		return domain.Organization{}, err
	}
	if name = strings.TrimSpace(name); name == "" {
		name = slug
	}
	if err := checkOrganization(slug, name); err != nil {
		return domain.Organization{}, err
	}
	org := domain.Organization{ID: uuid.New(), Slug: slug, Name: name, CreatedAt: now()}
	actor.OrgID = org.ID
	entry := actor.entry("organization.create", "organization:"+org.ID.String(), map[string]any{"slug": slug})
	if err := o.store.CreateOrganization(ctx, org, entry); err != nil {
		return domain.Organization{}, err
	}
	return org, nil
}

func checkOrganization(slug, name string) error {
	err := fault.New(fault.Invalid, "invalid_organization", "the organization is not valid")
	if !slugPattern.MatchString(slug) {
		_ = err.WithField("slug", "must be 1 to 63 lower-case letters, digits and '-', not starting or ending with '-'")
	}
	if utf8.RuneCountInString(name) > maxName || !printable(name) {
		_ = err.WithField("name", "must be at most %d printable characters", maxName)
	}
	if len(err.Violations) > 0 {
		return err
	}
	return nil
}

// BySlug finds an organization by its slug.
func (o *Organizations) BySlug(ctx context.Context, slug string) (domain.Organization, error) {
	return o.store.OrganizationBySlug(ctx, slug)
}

// List returns all organizations.
func (o *Organizations) List(ctx context.Context, actor Actor) ([]domain.Organization, error) {
	if err := actor.Authorize(ManageOrgs); err != nil {
		return nil, err
	}
	return o.store.ListOrganizations(ctx)
}

// printable says that s is valid UTF-8 without control characters: such text
// is safe in a terminal and in both databases.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
