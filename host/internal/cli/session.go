package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/settings"
)

// session is one run of one command. What it opens is closed at its end, in
// reverse order.
type session struct {
	ctx     context.Context
	env     Environment
	out     *printer
	sources settings.Sources
	closers []func() error
}

func (s *session) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		_ = s.closers[i]() // the command's own result matters more
	}
	s.closers = nil
}

func (s *session) closeWith(f func() error) { s.closers = append(s.closers, f) }

func (s *session) settings() (settings.Settings, error) { return settings.Load(s.sources) }

// logger writes to standard error.
func (s *session) logger(set settings.Settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: set.LogLevel}
	if set.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(s.env.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(s.env.Stderr, options))
}

// quiet is the logger of short commands: only what went wrong.
func (s *session) quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(s.env.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

// operator is who runs the command.
func (s *session) operator(orgID uuid.UUID) app.Actor {
	return app.Actor{OrgID: orgID, Role: app.Operator, Name: "cli:" + s.env.User}
}

// wants says what a command needs beyond the database.
type wants struct {
	keys     bool // the master key; without it the command refuses to run
	payloads bool // the payload store
}

// office is what commands on the database work with.
type office struct {
	*app.Services
	db       *database
	settings settings.Settings
	deps     app.Deps
}

// office opens the database and what else the command wants. No connector runs.
func (s *session) office(want wants) (*office, error) {
	set, err := s.settings()
	if err != nil {
		return nil, err
	}
	db, err := s.openDatabase(set, s.quiet())
	if err != nil {
		return nil, err
	}
	if err := db.mustBeMigrated(s.ctx); err != nil {
		return nil, err
	}
	o := &office{db: db, settings: set, deps: app.Deps{Store: db.Store, Registry: noConnectors{}, HostDeadAfter: set.HostDeadAfter}}
	o.deps.Keyring, err = set.Keyring()
	if err != nil {
		if want.keys {
			return nil, err
		}
		o.deps.Keyring = seal.NewKeyring(seal.GenerateKey()) // opens nothing, and nothing is sealed
	}
	if want.payloads {
		if o.deps.Payloads, err = s.openPayloads(set); err != nil {
			return nil, err
		}
	}
	o.Services = app.New(o.deps)
	return o, nil
}

// startConnectors starts the connectors of the types given for this command.
func (s *session) startConnectors(o *office, types ...string) error {
	if len(types) == 0 {
		return nil
	}
	registry, err := s.openConnectors(o.settings, types)
	if err != nil {
		return err
	}
	o.deps.Registry = registry
	o.Services = app.New(o.deps)
	return nil
}

func (s *session) openPayloads(set settings.Settings) (payload.Store, error) {
	payloads, err := payload.Open(s.ctx, set.PayloadURL)
	if err != nil {
		return nil, err
	}
	s.closeWith(payloads.Close)
	return payloads, nil
}

// noConnectors is the registry of commands that need none.
type noConnectors struct{}

func (noConnectors) Get(connectorType string) (connector.Port, error) {
	return nil, &connector.UnknownTypeError{Type: connectorType}
}

func (noConnectors) Isolated(connectorType string) (connector.Port, error) {
	return nil, &connector.UnknownTypeError{Type: connectorType}
}

func (noConnectors) Types() []string            { return nil }
func (noConnectors) Status() []connector.Status { return nil }

// organization finds the one that --org names, or the only one there is.
func (s *session) organization(o *office, slug string) (domain.Organization, error) {
	if slug != "" {
		return o.Organizations.BySlug(s.ctx, slug)
	}
	all, err := o.Organizations.List(s.ctx, s.operator(uuid.Nil))
	if err != nil {
		return domain.Organization{}, err
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return domain.Organization{}, fault.New(fault.NotFound, "organization_not_found", "there is no organization yet").
			WithHint("`orderport org create SLUG` makes one")
	}
	slugs := make([]string, len(all))
	for i, org := range all {
		slugs[i] = org.Slug
	}
	return domain.Organization{}, usage("there are several organizations").
		WithHint("name one with --org: %s", strings.Join(slugs, ", "))
}

// owner finds the organization that has the thing that find looks for. Ids are
// unique, so an operator need not say whose they are.
func (s *session) owner(o *office, slug string, find func(app.Actor) error) (app.Actor, error) {
	if slug != "" {
		org, err := o.Organizations.BySlug(s.ctx, slug)
		if err != nil {
			return app.Actor{}, err
		}
		actor := s.operator(org.ID)
		return actor, find(actor)
	}
	all, err := o.Organizations.List(s.ctx, s.operator(uuid.Nil))
	if err != nil {
		return app.Actor{}, err
	}
	missing := fault.New(fault.NotFound, "not_found", "no organization has it")
	for _, org := range all {
		actor := s.operator(org.ID)
		err := find(actor)
		if err == nil {
			return actor, nil
		}
		if missing = fault.From(err); missing.Kind != fault.NotFound {
			return app.Actor{}, err
		}
	}
	return app.Actor{}, missing
}

// parseID reads an id argument.
func parseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, usage("%q is not an id", text).WithHint("ids look like 32c282e3-b563-56da-bf52-0f4bd7ffe80d; the list commands show them")
	}
	return id, nil
}

// input opens a file argument; "-" is standard input.
func (s *session) input(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.env.Stdin), nil
	}
	file, err := os.Open(filepath.Clean(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("there is no file %s", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	return file, nil
}

// note tells the user something that is no result.
func (s *session) note(format string, args ...any) {
	if !s.out.json && !s.out.lines {
		fmt.Fprintf(s.env.Stderr, format+"\n", args...)
	}
}

// hasToken returns a question for owner.
func (s *session) hasToken(o *office, id uuid.UUID) func(app.Actor) error {
	return func(actor app.Actor) error {
		tokens, err := o.Tokens.List(s.ctx, actor)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			if token.ID == id {
				return nil
			}
		}
		return fault.New(fault.NotFound, "token_not_found", "there is no such token")
	}
}
