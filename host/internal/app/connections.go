package app

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/view"
)

// Vault seals configs for their row and opens them again.
type Vault interface {
	// Seal seals config for the connection's row: its organization, id and type.
	Seal(c domain.Connection, config []byte) (domain.SealedConfig, error)
	// Open returns the config of the connection's sealed blob.
	Open(c domain.Connection) ([]byte, error)
}

// Waker tells the engine that a connection may have something to do. It never
// blocks; waking too often is harmless.
type Waker interface {
	Nudge(connectionID uuid.UUID)
}

type connectionStore interface {
	store.Connections
	store.Audit
	ListHosts(ctx context.Context) ([]domain.HostNode, error)
	OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error)
}

// Connections manages configurations. A secret goes in and never comes out,
// except through Decrypt.
type Connections struct {
	store    connectionStore
	registry Registry
	vault    Vault
	waker    Waker
	schemas  *schemas
	liveness liveness
}

// NewConnection is a connection to create.
type NewConnection struct {
	ConnectorType string
	Config        json.RawMessage
	// TestOnSave tries the config first; one that fails is not saved.
	TestOnSave bool
}

// TestFailedError says that a config was not saved because its test failed.
type TestFailedError struct {
	Result view.TestResult
	fault  *fault.Error
}

// Error returns the message with the test's own.
func (e *TestFailedError) Error() string { return e.fault.Error() }

// Unwrap returns the *fault.Error.
func (e *TestFailedError) Unwrap() error { return e.fault }

func testFailed(result view.TestResult) error {
	message := "the connection test failed; nothing was saved"
	if result.Error != nil {
		message += ": " + result.Error.Message
	}
	return &TestFailedError{Result: result, fault: fault.New(fault.Invalid, "connection_test_failed", "%s", message).
		WithHint("mend the config, or save it without the test and test it later")}
}

// Create validates, tests if asked to, seals and saves a connection.
func (s *Connections) Create(ctx context.Context, actor Actor, req NewConnection) (view.Connection, error) {
	if err := actor.Authorize(CreateConnection); err != nil {
		return view.Connection{}, err
	}
	port, schema, err := s.connectorOf(req.ConnectorType)
	if err != nil {
		return view.Connection{}, err
	}
	config, err := schema.check(req.Config)
	if err != nil {
		return view.Connection{}, err
	}
	if err := s.refuseSecond(ctx, actor.OrgID, req.ConnectorType); err != nil {
		return view.Connection{}, err
	}
	conn := domain.Connection{
		ID: uuid.New(), OrgID: actor.OrgID, ConnectorType: req.ConnectorType, Status: domain.Active,
		Health: domain.Health{State: domain.HealthUnknown}, CreatedAt: now(),
	}
	conn.UpdatedAt = conn.CreatedAt
	var tested *view.TestResult
	if req.TestOnSave {
		if tested, err = s.mustPass(ctx, port, schema, conn, config); err != nil {
			return view.Connection{}, err
		}
	}
	if conn.Sealed, err = s.vault.Seal(conn, config); err != nil {
		return view.Connection{}, err
	}
	entry := actor.entry(CreateConnection, subjectOf(conn.ID), map[string]any{"connector_type": conn.ConnectorType, "tested": req.TestOnSave})
	if err := s.store.CreateConnection(ctx, conn, entry); err != nil {
		return view.Connection{}, err
	}
	return s.afterSave(ctx, conn, tested)
}

// refuseSecond spares the caller a test whose config could not be saved. The
// unique index decides all the same.
func (s *Connections) refuseSecond(ctx context.Context, orgID uuid.UUID, connectorType string) error {
	active, err := s.store.ActiveConnection(ctx, orgID, connectorType)
	if err == nil {
		return fault.New(fault.Conflict, "connection_exists",
			"the organization already has an active connection of type %s", connectorType).
			WithHint("change the config of connection %s, or disable it first", active.ID)
	}
	if fault.From(err).Kind != fault.NotFound {
		return err
	}
	return nil
}

func (s *Connections) mustPass(ctx context.Context, port connector.Port, schema *schema, conn domain.Connection, config []byte) (*view.TestResult, error) {
	result, err := s.tryConfig(ctx, port, schema, conn, config)
	if err != nil {
		return nil, err
	}
	if !result.Success {
		return nil, testFailed(result)
	}
	return &result, nil
}

// afterSave records a test that has passed and returns the connection as it is.
func (s *Connections) afterSave(ctx context.Context, conn domain.Connection, tested *view.TestResult) (view.Connection, error) {
	if tested != nil {
		if err := s.store.RecordTest(ctx, conn.OrgID, conn.ID, true); err != nil {
			return view.Connection{}, err
		}
	}
	s.waker.Nudge(conn.ID)
	saved, err := s.store.Connection(ctx, conn.OrgID, conn.ID)
	if err != nil {
		return view.Connection{}, err
	}
	shown := s.show(ctx, saved)
	shown.Test = tested
	return shown, nil
}

// UpdateConfig replaces a config. Secrets that the new one leaves out stay as
// they are, so a config can be shown, edited and sent back.
func (s *Connections) UpdateConfig(ctx context.Context, actor Actor, id uuid.UUID, config json.RawMessage, testOnSave bool) (view.Connection, error) {
	if err := actor.Authorize(UpdateConnection); err != nil {
		return view.Connection{}, err
	}
	conn, err := s.store.Connection(ctx, actor.OrgID, id)
	if err != nil {
		return view.Connection{}, err
	}
	port, schema, err := s.connectorOf(conn.ConnectorType)
	if err != nil {
		return view.Connection{}, err
	}
	checked, err := schema.check(s.withKeptSecrets(schema, conn, config))
	if err != nil {
		return view.Connection{}, err
	}
	var tested *view.TestResult
	if testOnSave {
		if tested, err = s.mustPass(ctx, port, schema, conn, checked); err != nil {
			return view.Connection{}, err
		}
	}
	sealed, err := s.vault.Seal(conn, checked)
	if err != nil {
		return view.Connection{}, err
	}
	entry := actor.entry(UpdateConnection, subjectOf(id), map[string]any{"tested": testOnSave})
	if conn, err = s.store.UpdateConfig(ctx, actor.OrgID, id, sealed, entry); err != nil {
		return view.Connection{}, err
	}
	return s.afterSave(ctx, conn, tested)
}

// withKeptSecrets fills absent secrets from the stored config. One that does
// not open has none to keep, and must be replaceable all the same.
func (s *Connections) withKeptSecrets(schema *schema, conn domain.Connection, config json.RawMessage) json.RawMessage {
	stored, err := s.vault.Open(conn)
	if err != nil {
		return config
	}
	return schema.keepSecrets(config, stored)
}

// List returns all connections, the disabled ones too.
func (s *Connections) List(ctx context.Context, actor Actor) ([]view.Connection, error) {
	if err := actor.Authorize(ReadConnections); err != nil {
		return nil, err
	}
	found, err := s.store.ListConnections(ctx, actor.OrgID)
	if err != nil {
		return nil, err
	}
	shown := make([]view.Connection, 0, len(found))
	for _, conn := range found {
		shown = append(shown, s.show(ctx, conn))
	}
	return shown, nil
}

// Show returns one connection without its secrets.
func (s *Connections) Show(ctx context.Context, actor Actor, id uuid.UUID) (view.Connection, error) {
	if err := actor.Authorize(ReadConnections); err != nil {
		return view.Connection{}, err
	}
	conn, err := s.store.Connection(ctx, actor.OrgID, id)
	if err != nil {
		return view.Connection{}, err
	}
	return s.show(ctx, conn), nil
}

// SetEnabled enables or disables a connection; repeatable. Enabling fails with
// Conflict "connection_exists" while another one of its type is active.
func (s *Connections) SetEnabled(ctx context.Context, actor Actor, id uuid.UUID, enabled bool) (view.Connection, error) {
	action, status := DisableConnection, domain.Disabled
	if enabled {
		action, status = EnableConnection, domain.Active
	}
	if err := actor.Authorize(action); err != nil {
		return view.Connection{}, err
	}
	conn, err := s.store.SetConnectionStatus(ctx, actor.OrgID, id, status, actor.entry(action, subjectOf(id), nil))
	if err != nil {
		return view.Connection{}, err
	}
	s.waker.Nudge(id)
	return s.show(ctx, conn), nil
}

// Decrypt returns the open config: an operator's last resort. It is audited
// before it is shown.
func (s *Connections) Decrypt(ctx context.Context, actor Actor, id uuid.UUID) (json.RawMessage, error) {
	if err := actor.Authorize(DecryptConnection); err != nil {
		return nil, err
	}
	conn, err := s.store.Connection(ctx, actor.OrgID, id)
	if err != nil {
		return nil, err
	}
	config, err := s.vault.Open(conn)
	if err != nil {
		return nil, doesNotOpen(err)
	}
	if err := s.store.AppendAudit(ctx, actor.entry(DecryptConnection, subjectOf(id), nil)); err != nil {
		return nil, err
	}
	return config, nil
}

// show leaves the secrets out. What can't be shown safely is not shown: without
// the connector's schema nobody can tell which values are secret.
func (s *Connections) show(ctx context.Context, conn domain.Connection) view.Connection {
	config, err := s.vault.Open(conn)
	if err != nil {
		conn.Health.State, conn.Health.Code = domain.Down, "INVALID_CONFIG"
		conn.Health.Reason = doesNotOpen(err).Message
		return view.NewConnection(conn, nil)
	}
	_, schema, err := s.connectorOf(conn.ConnectorType)
	if err != nil {
		if conn.Status == domain.Active && !s.runsSomewhere(ctx, conn.ConnectorType) {
			conn.Health.State, conn.Health.Code = domain.Down, port.ConnectorUnavailable
			conn.Health.Reason = "no running host has a connector for it: " + fault.From(err).Message
		}
		return view.NewConnection(conn, nil)
	}
	redacted, err := schema.redact(config)
	if err != nil {
		return view.NewConnection(conn, nil)
	}
	return view.NewConnection(conn, redacted)
}

// runsSomewhere reports whether a host that is alive has a connector of the
// type. What can't be found out is not held against the connection.
func (s *Connections) runsSomewhere(ctx context.Context, connectorType string) bool {
	hosts, err := s.store.ListHosts(ctx)
	return err != nil || slices.ContainsFunc(s.liveness.running(hosts), has(connectorType))
}

func doesNotOpen(err error) *fault.Error {
	return fault.New(fault.Unavailable, "config_does_not_open", "the stored config does not open with any known key").
		WithHint("start with the key that sealed it in ENCRYPTION_MASTER_KEY or ENCRYPTION_PREVIOUS_KEYS, or replace the config").
		Because(err)
}

func (s *Connections) connectorOf(connectorType string) (connector.Port, *schema, error) {
	if connectorType == "" {
		return nil, nil, fault.New(fault.Invalid, "invalid_request", "the request is not valid").
			WithField("connector_type", "is required")
	}
	port, err := lookUp(s.registry, connectorType)
	if err != nil {
		return nil, nil, err
	}
	schema, err := s.schemas.of(connectorType, port.Describe().GetConfigSchema())
	if err != nil {
		return nil, nil, fault.New(fault.Unavailable, "connector_unavailable",
			"connector %s advertises a config schema that can't be used", connectorType).Because(err)
	}
	return port, schema, nil
}

func subjectOf(id uuid.UUID) string { return "connection:" + id.String() }
