// Package store is what the host asks of its database. Packages postgres and
// sqlite implement Store; storetest is the one behaviour suite for both.
//
// Contract for every method, unless it says otherwise: safe for concurrent
// use; when it returns nil the effect is durable and whole (one transaction);
// when it returns an error nothing has happened, or, if the connection broke
// during commit, all of it may have. Callers must be able to call again.
// A row of another organization does not exist: fault.NotFound. Times are UTC
// and keep microseconds. Slices in arguments are not kept or changed.
//
// Several hosts share one PostgreSQL. The database's clock decides leases and
// heartbeats, so hosts' clocks need not agree.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// ErrFenced says that an attempt no longer holds its export: another host or
// attempt has taken it over, or somebody resolved it. Its write did not happen.
var ErrFenced = errors.New("the attempt has been taken over")

// Store is everything. Consumers ask for the part that they use.
type Store interface {
	Organizations
	Tokens
	Audit
	Connections
	Exports
	Ledger
	Hosts

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Unavailable reports whether err, of any call, says that the database does
	// not answer.
	Unavailable(err error) bool
	// Close releases connections.
	Close() error
}

// Page bounds a list. Lists run from new to old by (created_at, id).
type Page struct {
	Limit  int    // 1 to 500
	Cursor string // opaque, from the last page; empty: the first page
}

// Organizations keeps tenants.
type Organizations interface {
	// CreateOrganization fails with Conflict "organization_exists".
	CreateOrganization(ctx context.Context, org domain.Organization, audit domain.AuditEntry) error
	OrganizationBySlug(ctx context.Context, slug string) (domain.Organization, error)
	OrganizationByID(ctx context.Context, id uuid.UUID) (domain.Organization, error)
	ListOrganizations(ctx context.Context) ([]domain.Organization, error)
}

// Tokens keeps API tokens.
type Tokens interface {
	CreateToken(ctx context.Context, token domain.Token, audit domain.AuditEntry) error
	// TokenByHash returns a token that is not revoked. NotFound otherwise.
	TokenByHash(ctx context.Context, hash [32]byte) (domain.Token, error)
	ListTokens(ctx context.Context, orgID uuid.UUID) ([]domain.Token, error)
	// RevokeToken is repeatable.
	RevokeToken(ctx context.Context, orgID, id uuid.UUID, audit domain.AuditEntry) error
	// TouchToken records a use. Best effort, at most once a minute per token.
	TouchToken(ctx context.Context, id uuid.UUID) error
}

// Audit reads and appends the audit log. Changes that have an audit argument
// write their entry in the same transaction.
type Audit interface {
	AppendAudit(ctx context.Context, entry domain.AuditEntry) error
	ListAudit(ctx context.Context, orgID uuid.UUID, page Page) (entries []domain.AuditEntry, next string, err error)
}

// Connections keeps configurations.
type Connections interface {
	// CreateConnection fails with Conflict "connection_exists" if the
	// organization has an active connection of that type.
	CreateConnection(ctx context.Context, c domain.Connection, audit domain.AuditEntry) error
	Connection(ctx context.Context, orgID, id uuid.UUID) (domain.Connection, error)
	// ActiveConnection returns NotFound if there is none. An empty type means
	// "the only active one"; with several it is Invalid "connector_type_required".
	ActiveConnection(ctx context.Context, orgID uuid.UUID, connectorType string) (domain.Connection, error)
	ListConnections(ctx context.Context, orgID uuid.UUID) ([]domain.Connection, error)
	// UpdateConfig replaces the sealed config, resets health to UNKNOWN, and
	// wakes the connection (see Ledger).
	UpdateConfig(ctx context.Context, orgID, id uuid.UUID, sealed domain.SealedConfig, audit domain.AuditEntry) (domain.Connection, error)
	// SetConnectionStatus enables or disables; repeatable. Enabling can fail
	// with Conflict "connection_exists". Enabling resets health and wakes.
	SetConnectionStatus(ctx context.Context, orgID, id uuid.UUID, status domain.ConnectionStatus, audit domain.AuditEntry) (domain.Connection, error)
	// RecordTest sets last_test_at. A successful test also closes the circuit.
	RecordTest(ctx context.Context, orgID, id uuid.UUID, success bool) error
	// SetHealth stores the circuit's state. It does not touch updated_at. It
	// does nothing if the connection was updated after "asOf", the updated_at
	// that the caller acted on.
	SetHealth(ctx context.Context, id uuid.UUID, asOf time.Time, h domain.Health) error
	// PlanProbe is SetHealth for a connection that is DOWN, if its next probe is
	// still the one of seen: of several hosts that are about to probe, one is
	// answered true. A call whose answer was lost is answered false when it is
	// repeated; then the probe comes at the time that it has planned.
	PlanProbe(ctx context.Context, id uuid.UUID, asOf time.Time, seen, planned domain.Health) (mine bool, err error)
	// ActiveConnections lists the active connections of the given types, all
	// organizations, for ack polling and probes. Sealed configs included.
	ActiveConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error)
	// ConnectionsToReseal returns up to limit connections (any status) whose
	// seal_key_id differs from keyID or whose version is 0, by id after "after".
	ConnectionsToReseal(ctx context.Context, keyID string, after uuid.UUID, limit int) ([]domain.Connection, error)
	// Reseal replaces a blob if it still equals old; false if it does not.
	// It does not touch updated_at: the config is the same.
	Reseal(ctx context.Context, id uuid.UUID, old []byte, sealed domain.SealedConfig) (bool, error)
}

// Acceptance is one order to accept, with the export that will deliver it.
type Acceptance struct {
	Draft  domain.DraftOrder
	Export domain.Export // ID, org, connection, format, key, CreatedAt set; PENDING
}

// Accepted is the answer to one Acceptance.
type Accepted struct {
	Export  domain.Export
	Created bool
	// Err is Conflict "order_differs" (same id, other content), Conflict
	// "idempotency_key_reused" (same key, other order or content), or Conflict
	// "delivered_elsewhere" (live on a connection of another type).
	Err error
}

// ExportFilter narrows a list. Zero fields do not filter.
type ExportFilter struct {
	Status       domain.ExportStatus
	DraftOrderID uuid.UUID
	ConnectionID uuid.UUID
	Since        time.Time // created at or after
}

// Exports accepts orders and answers questions about them.
type Exports interface {
	// Accept commits all of batch in one transaction: draft orders, exports
	// and one wake-up job for each connection that got a new export. The order
	// of answers is the order of batch; the same order may be in it twice. An
	// order that is known already answers with its latest export and
	// Created=false, whatever that export's status. An idempotency key belongs
	// to the export that it created; a known order does not take another one.
	Accept(ctx context.Context, batch []Acceptance) ([]Accepted, error)
	Export(ctx context.Context, orgID, id uuid.UUID) (domain.Export, error)
	ListExports(ctx context.Context, orgID uuid.UUID, f ExportFilter, page Page) (exports []domain.Export, next string, err error)
	Attempts(ctx context.Context, orgID, exportID uuid.UUID) ([]domain.Attempt, error)
	DraftOrder(ctx context.Context, orgID, id uuid.UUID) (domain.DraftOrder, error)
	// Retry makes a new PENDING export for the order of a FAILED one, over the
	// connection given, and wakes it. Conflict "not_failed" if it is not
	// FAILED, "export_live" if the order has a live export, "outcome_unknown"
	// if any export of the order FAILED with OUTCOME_UNKNOWN (resolve it
	// first). The same retry.ID again answers with the export made before.
	Retry(ctx context.Context, orgID, failedID uuid.UUID, retry domain.Export, audit domain.AuditEntry) (domain.Export, error)
	// Resolve ends an export that FAILED with OUTCOME_UNKNOWN: sent moves it
	// to SENT; otherwise it stays FAILED and its error's code becomes
	// REJECTED_BY_ERP with details["resolved_by"]=actor, so it can be retried.
	// Conflict "not_unknown" if it is in any other state.
	Resolve(ctx context.Context, orgID, id uuid.UUID, sent bool, audit domain.AuditEntry) (domain.Export, error)
	// CountExports counts by status, over all organizations, for metrics.
	CountExports(ctx context.Context) (map[domain.ExportStatus]int64, error)
}

// ClaimRequest asks for work.
type ClaimRequest struct {
	HostID       uuid.UUID
	ConnectionID uuid.UUID
	Limit        int
	Lease        time.Duration // how long the attempt may take, grace included
	// SuspectsOnly claims only exports with CrashCount > 0, otherwise only
	// those with CrashCount = 0.
	SuspectsOnly bool
	// AsOf is the UpdatedAt of the connection as the caller knows it. If the
	// connection has been changed or disabled since, nothing is claimed: no
	// order that was accepted after a change is delivered as before it. Zero:
	// whatever the connection is now.
	AsOf time.Time
	// After leaves out what comes up to there in the line of due exports. A
	// caller that takes much work at once needs not walk each time over what it
	// has under way. What is due again goes back to its old place in the line,
	// so now and then the line is to be asked for from its start. Zero: all.
	After Place
}

// Place is where an export stands in the line of due exports: the oldest first.
type Place struct {
	Due time.Time
	ID  uuid.UUID
}

// Claimed is an export whose next attempt has been recorded as started.
type Claimed struct {
	Export domain.Export // AttemptCount is this attempt's number; Lease is set
	Order  []byte        // the draft order's content
	Place  Place         // where it stood
}

// Save is a checkpoint or a stored payload to record for an attempt. Nil or
// zero fields leave what is there.
type Save struct {
	ExportID      uuid.UUID
	HostID        uuid.UUID
	Attempt       int
	Checkpoint    []byte
	ExternalRef   string
	StorageKey    string
	PayloadSize   int64
	PayloadSHA256 []byte
}

// Finish is how an attempt ended.
type Finish struct {
	ExportID uuid.UUID
	HostID   uuid.UUID
	Attempt  int
	Outcome  domain.Outcome      // not RUNNING
	Status   domain.ExportStatus // the export's state afterwards
	Error    *domain.ExportError // kept in the export and in the attempt

	NextAttemptIn time.Duration // from now, if Status is PENDING
	CountsFailure bool          // FailureCount + 1
	CountsCrash   bool          // CrashCount + 1
	Recovered     bool
	StorageKey    string
	PayloadSize   int64
	PayloadSHA256 []byte
	DropzonePath  string
	ExternalRef   string
	ERPOrderID    string
	Metadata      map[string]string
}

// Ledger is the engine's side: the export rows decide what is to be done.
type Ledger interface {
	// DueConnections returns the active connections, of the given types, with
	// PENDING exports that are due now and not leased. Circuits are the
	// caller's business. One cheap indexed query, however many are waiting.
	DueConnections(ctx context.Context, connectorTypes []string) ([]domain.Connection, error)
	// ConnectionByID is Connection without the tenant, for the engine.
	ConnectionByID(ctx context.Context, id uuid.UUID) (domain.Connection, error)
	// Claim leases due exports of a connection, oldest first, and records
	// their attempts as RUNNING, in one transaction. An export that had to
	// wait for another attempt is as old as the end of that wait. Concurrent
	// claims never return one export twice (SKIP LOCKED on PostgreSQL). A host
	// that was stopped or declared dead gets nothing.
	Claim(ctx context.Context, req ClaimRequest) ([]Claimed, error)
	// Leased returns the exports whose attempts a host has under way. A host
	// that lost the answer to a Claim learns from it what it got.
	Leased(ctx context.Context, hostID uuid.UUID) ([]domain.Export, error)
	// SaveAll records checkpoints and payloads. errs[i] is nil or ErrFenced.
	// Several saves of one attempt in a batch add up.
	SaveAll(ctx context.Context, saves []Save) (errs []error, err error)
	// FinishAll ends attempts and releases leases. errs[i] is nil or ErrFenced.
	// An export that an ack has already moved to ACKED or FAILED keeps that
	// state; its attempt is ended and the answer is nil. So it is for an
	// attempt that this host has ended before with the same outcome.
	FinishAll(ctx context.Context, finishes []Finish) (errs []error, err error)
	// Lost returns exports whose lease is held by a host that is stopped or
	// whose heartbeat is older than deadAfter, or whose own lease expired more
	// than a minute ago, over connections of the given types: what to make of
	// others only a host that has their connector knows. It marks such hosts
	// stopped, whatever they ran.
	Lost(ctx context.Context, deadAfter time.Duration, connectorTypes []string, limit int) ([]domain.Export, error)
	// Reclaim ends a lost attempt: like FinishAll, but fenced by the lease
	// that Lost saw (Finish.HostID, Finish.Attempt).
	Reclaim(ctx context.Context, finishes []Finish) (errs []error, err error)
	// ApplyAcks commits what acks say about exports of one connection, in one
	// transaction, each after the other. An ack ends an export that is PENDING
	// or SENT, also one whose attempt still runs if its reference was saved. It
	// ends the doubt about one that FAILED with OUTCOME_UNKNOWN: a negative ack
	// makes that REJECTED_BY_ERP, a positive one makes the export ACKED, unless
	// the order has another live export. The ERP's own code is kept in
	// details["erp_error_code"].
	ApplyAcks(ctx context.Context, connectionID uuid.UUID, acks []Ack, actor string) ([]AckVerdict, error)
	// InFlight counts the connection's PENDING exports with at least one attempt.
	InFlight(ctx context.Context, connectionID uuid.UUID) (int, error)
}

// Ack is the ERP's answer to one export.
type Ack struct {
	ExternalRef string
	Positive    bool
	ERPOrderID  string // positive
	ErrorCode   string // negative: the ERP's own code
	Message     string // negative
}

// AckVerdict is what ApplyAcks did with one ack.
type AckVerdict int

// The verdicts.
const (
	AckApplied   AckVerdict = iota // committed now
	AckRepeated                    // says what was committed before
	AckUnmatched                   // no export of this connection has that reference
	AckContrary                    // contradicts what was committed before; audited, nothing changed
)

// Hosts keeps the heartbeats.
type Hosts interface {
	// RegisterHost may be repeated, until the host has been stopped: then it
	// is Conflict "host_stopped". It forgets hosts that stopped long ago.
	RegisterHost(ctx context.Context, h domain.HostNode) error
	// Heartbeat returns false if the host has been declared dead: it must
	// register under a new id. It can claim nothing more, and each of its
	// attempts is fenced once it has been reclaimed.
	Heartbeat(ctx context.Context, id uuid.UUID, connectorTypes []string) (alive bool, err error)
	// StopHost marks a host stopped; Lost then returns its exports at once.
	StopHost(ctx context.Context, id uuid.UUID) error
	ListHosts(ctx context.Context) ([]domain.HostNode, error)
}
