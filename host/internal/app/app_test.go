package app

import (
	"testing"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// TestRolesMayDoWhatTheTableSays writes the whole table down, so that a new
// action has to be decided on for every role.
func TestRolesMayDoWhatTheTableSays(t *testing.T) {
	t.Parallel()
	may := map[Action][]domain.Role{
		ReadConnections:   {domain.Admin, domain.Integrator, domain.Ops, domain.Viewer},
		CreateConnection:  {domain.Admin, domain.Integrator},
		UpdateConnection:  {domain.Admin, domain.Integrator},
		TestConnection:    {domain.Admin, domain.Integrator, domain.Ops},
		EnableConnection:  {domain.Admin, domain.Integrator, domain.Ops},
		DisableConnection: {domain.Admin, domain.Integrator, domain.Ops},
		DecryptConnection: {},
		ReadConnectors:    {domain.Admin, domain.Integrator, domain.Ops, domain.Viewer},
		CreateExport:      {domain.Admin, domain.Integrator},
		ReadExports:       {domain.Admin, domain.Integrator, domain.Ops, domain.Viewer},
		RetryExport:       {domain.Admin, domain.Ops},
		ResolveExport:     {domain.Admin, domain.Ops},
		ReadAudit:         {domain.Admin, domain.Integrator, domain.Ops, domain.Viewer},
		ManageTokens:      {domain.Admin},
		ManageOrgs:        {},
		RotateKeys:        {},
	}
	roles := []domain.Role{domain.Admin, domain.Integrator, domain.Ops, domain.Viewer, "", "KING"}
	for _, action := range Actions() {
		allowed, ok := may[action]
		if !ok {
			t.Errorf("the table does not say who may do %s", action)
		}
		if !Allows(Operator, action) {
			t.Errorf("the operator may not do %s", action)
		}
		for _, role := range roles {
			want := false
			for _, r := range allowed {
				want = want || r == role
			}
			if got := Allows(role, action); got != want {
				t.Errorf("%s may do %s: %v, want %v", role, action, got, want)
			}
		}
	}
	if len(may) != len(Actions()) {
		t.Errorf("%d actions in the table, %d there are", len(may), len(Actions()))
	}
	if Allows(domain.Admin, "new.action") {
		t.Error("an action that nobody has decided on is allowed")
	}
}

// TestEveryServiceAsksTheTable calls each method as a role that may do nothing;
// a service that did not ask would touch its store, which is not there.
func TestEveryServiceAsksTheTable(t *testing.T) {
	t.Parallel()
	s := New(Deps{})
	nobody := Actor{Role: "NOBODY"}
	ctx := t.Context()
	id := nobody.OrgID
	for name, call := range map[string]func() error{
		"create an organization": func() error { _, err := s.Organizations.Create(ctx, nobody, "acme", ""); return err },
		"list organizations":     func() error { _, err := s.Organizations.List(ctx, nobody); return err },
		"create a token":         func() error { _, _, err := s.Tokens.Create(ctx, nobody, "", domain.Viewer); return err },
		"list tokens":            func() error { _, err := s.Tokens.List(ctx, nobody); return err },
		"revoke a token":         func() error { return s.Tokens.Revoke(ctx, nobody, id) },
		"create a connection":    func() error { _, err := s.Connections.Create(ctx, nobody, NewConnection{}); return err },
		"list connections":       func() error { _, err := s.Connections.List(ctx, nobody); return err },
		"show a connection":      func() error { _, err := s.Connections.Show(ctx, nobody, id); return err },
		"update a config":        func() error { _, err := s.Connections.UpdateConfig(ctx, nobody, id, nil, false); return err },
		"test a connection":      func() error { _, err := s.Connections.Test(ctx, nobody, id); return err },
		"enable a connection":    func() error { _, err := s.Connections.SetEnabled(ctx, nobody, id, true); return err },
		"disable a connection":   func() error { _, err := s.Connections.SetEnabled(ctx, nobody, id, false); return err },
		"decrypt a connection":   func() error { _, err := s.Connections.Decrypt(ctx, nobody, id); return err },
		"list connector types":   func() error { _, err := s.Connectors.List(ctx, nobody); return err },
		"find a connector type":  func() error { _, err := s.Connectors.Find(ctx, nobody, "X"); return err },
		"hand in an order":       func() error { _, err := s.Intake.Accept(ctx, nobody, HandIn{}); return err },
		"hand in orders":         func() error { return s.Intake.AcceptGroup(ctx, nobody, []HandIn{{}})[0].Err },
		"show an export":         func() error { _, err := s.Exports.Get(ctx, nobody, id); return err },
		"list exports":           func() error { _, _, err := s.Exports.List(ctx, nobody, store.ExportFilter{}, store.Page{}); return err },
		"open a payload":         func() error { _, err := s.Exports.OpenPayload(ctx, nobody, id); return err },
		"retry an export":        func() error { _, err := s.Exports.Retry(ctx, nobody, id); return err },
		"resolve an export":      func() error { _, err := s.Exports.Resolve(ctx, nobody, id, true); return err },
		"wait for an export":     func() error { _, err := s.Exports.Wait(ctx, nobody, id, nil, 1); return err },
		"list the audit log":     func() error { _, _, err := s.Audit.List(ctx, nobody, store.Page{}); return err },
		"rotate keys":            func() error { _, err := s.Keys.Rotate(ctx, nobody, nil); return err },
	} {
		if err := call(); fault.From(err) == nil || fault.From(err).Code != "role_forbids" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
