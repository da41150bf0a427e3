package app

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
)

// Operator is the role of whoever runs the command line at the host: whoever
// can read the master key may do everything. No token ever has it.
const Operator domain.Role = "OPERATOR"

// Actor is who asks.
type Actor struct {
	OrgID uuid.UUID // the organization that the call works in
	Role  domain.Role
	Name  string // for the audit log: "token:<id>" or "cli:<os user>"
}

// Action is something that an actor may or may not do. The names are also the
// actions of the audit log.
type Action string

// The actions.
const (
	ReadConnections   Action = "connection.read"
	CreateConnection  Action = "connection.create"
	UpdateConnection  Action = "connection.update"
	TestConnection    Action = "connection.test"
	EnableConnection  Action = "connection.enable"
	DisableConnection Action = "connection.disable"
	DecryptConnection Action = "connection.decrypt"
	ReadConnectors    Action = "connector.read"
	CreateExport      Action = "export.create"
	ReadExports       Action = "export.read"
	RetryExport       Action = "export.retry"
	ResolveExport     Action = "export.resolve"
	ReadAudit         Action = "audit.read"
	ManageTokens      Action = "token.manage"
	ManageOrgs        Action = "organization.manage"
	RotateKeys        Action = "key.rotate"
)

// Actions lists every action, in the order of the constants.
func Actions() []Action {
	return []Action{
		ReadConnections, CreateConnection, UpdateConnection, TestConnection, EnableConnection,
		DisableConnection, DecryptConnection, ReadConnectors, CreateExport, ReadExports, RetryExport,
		ResolveExport, ReadAudit, ManageTokens, ManageOrgs, RotateKeys,
	}
}

// Allows says whether a role may do an action. It is the only place that
// knows; what is not named here is refused.
func Allows(role domain.Role, action Action) bool {
	if role == Operator {
		return true
	}
	switch action {
	case ReadConnections, ReadConnectors, ReadExports, ReadAudit:
		return role == domain.Admin || role == domain.Integrator || role == domain.Ops || role == domain.Viewer
	case CreateConnection, UpdateConnection, CreateExport:
		return role == domain.Admin || role == domain.Integrator
	case TestConnection, EnableConnection, DisableConnection:
		return role == domain.Admin || role == domain.Integrator || role == domain.Ops
	case RetryExport, ResolveExport:
		return role == domain.Admin || role == domain.Ops
	case ManageTokens:
		return role == domain.Admin
	default:
		return false
	}
}

// Authorize returns Forbidden "role_forbids" unless the actor's role allows
// the action.
func (a Actor) Authorize(action Action) error {
	if Allows(a.Role, action) {
		return nil
	}
	return fault.New(fault.Forbidden, "role_forbids", "the role %s does not allow %s", a.Role, action).
		WithHint("use a token with another role: `orderport token create --role …`")
}

// entry makes the audit entry of a change. Details never hold secrets: callers
// pass ids, names and outcomes only.
func (a Actor) entry(action Action, subject string, details map[string]any) domain.AuditEntry {
	return domain.AuditEntry{
		ID:      uuid.Must(uuid.NewV7()),
		OrgID:   a.OrgID,
		At:      now(),
		Actor:   a.Name,
		Action:  string(action),
		Subject: subject,
		Details: encodeDetails(details),
	}
}

func encodeDetails(details map[string]any) json.RawMessage {
	if len(details) == 0 {
		return nil
	}
	raw, err := json.Marshal(details)
	if err != nil {
		return nil
	}
	return raw
}

// now is the time as the database keeps it: UTC, microseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
