package cli

import (
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/view"
)

type orgCommands struct {
	Create orgCreate `cmd:"" help:"Create an organization."`
	List   orgList   `cmd:"" help:"List all organizations."`
}

type orgCreate struct {
	Slug string `arg:"" help:"Short name: lower-case letters, digits and '-'."`
	Name string `help:"Full name. Default: the slug."`
}

// Run creates the organization.
func (c *orgCreate) Run(s *session) error {
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	org, err := o.Organizations.Create(s.ctx, s.operator(uuid.Nil), c.Slug, c.Name)
	if err != nil {
		return err
	}
	return s.out.show(view.NewOrganization(org), func(w io.Writer) {
		fmt.Fprintf(w, "organization %s created (%s)\n", org.Slug, org.ID)
	})
}

type orgList struct{}

// Run lists the organizations.
func (c *orgList) Run(s *session) error {
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	orgs, err := o.Organizations.List(s.ctx, s.operator(uuid.Nil))
	if err != nil {
		return err
	}
	return showList(s.out, view.NewList(orgs, "", view.NewOrganization), []string{"SLUG", "NAME", "ID", "CREATED"},
		func(v view.Organization) []string { return []string{v.Slug, v.Name, v.ID, v.CreatedAt} })
}

type tokenCommands struct {
	Create tokenCreate `cmd:"" help:"Create an API token. It is shown once."`
	List   tokenList   `cmd:"" help:"List an organization's tokens."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a token. It stops working within a second."`
}

type tokenCreate struct {
	Org  string `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
	Role string `required:"" enum:"ADMIN,INTEGRATOR,OPS,VIEWER" help:"What it may do: ADMIN everything, INTEGRATOR hand in orders and manage connections, OPS test connections and decide about failed exports, VIEWER read." placeholder:"ROLE"`
	Name string `help:"What it is for."`
}

// Run creates the token and prints it, and nothing else, on standard output.
func (c *tokenCreate) Run(s *session) error {
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	token, secret, err := o.Tokens.Create(s.ctx, s.operator(org.ID), c.Name, domain.Role(c.Role))
	if err != nil {
		return err
	}
	shown := view.NewToken(token)
	shown.Token = secret
	s.note("token %s for %s with role %s; keep it, it is not shown again:", token.ID, org.Slug, token.Role)
	return s.out.show(shown, func(w io.Writer) { fmt.Fprintln(w, secret) })
}

type tokenList struct {
	Org string `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
}

// Run lists the tokens.
func (c *tokenList) Run(s *session) error {
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	tokens, err := o.Tokens.List(s.ctx, s.operator(org.ID))
	if err != nil {
		return err
	}
	return showList(s.out, view.NewList(tokens, "", view.NewToken), []string{"ID", "ROLE", "NAME", "CREATED", "LAST USED", "REVOKED"},
		func(v view.Token) []string {
			return []string{v.ID, v.Role, v.Name, v.CreatedAt, or(v.LastUsedAt), or(v.RevokedAt)}
		})
}

type tokenRevoke struct {
	ID  string `arg:"" help:"Id of the token."`
	Org string `help:"Organization, by slug. Default: the one that has the token." placeholder:"SLUG"`
}

// Run revokes the token.
func (c *tokenRevoke) Run(s *session) error {
	id, err := parseID(c.ID)
	if err != nil {
		return err
	}
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	actor, err := s.owner(o, c.Org, s.hasToken(o, id))
	if err != nil {
		return err
	}
	if err := o.Tokens.Revoke(s.ctx, actor, id); err != nil {
		return err
	}
	return s.out.show(map[string]string{"id": id.String(), "status": "revoked"}, func(w io.Writer) {
		fmt.Fprintf(w, "token %s is revoked\n", id)
	})
}
