// Package domain holds Orderport's words: organization, connection, draft
// order, export, attempt and what they may be. It knows no SQL, HTTP or gRPC.
package domain

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/sdk/port"
)

// Organization is a tenant. Every other row belongs to one.
type Organization struct {
	ID        uuid.UUID
	Slug      string // unique; lower-case letters, digits and "-"
	Name      string
	CreatedAt time.Time
}

// ConnectionStatus says whether a connection takes exports.
type ConnectionStatus string

// The connection states.
const (
	Active   ConnectionStatus = "ACTIVE"
	Disabled ConnectionStatus = "DISABLED"
)

// Connection is one organization's configuration for one connector type.
type Connection struct {
	ID            uuid.UUID
	OrgID         uuid.UUID
	ConnectorType string
	Sealed        SealedConfig
	Status        ConnectionStatus
	LastTestAt    *time.Time
	Health        Health
	CreatedAt     time.Time
	UpdatedAt     time.Time // changes on every update of config or status
}

// SealedConfig is a config as it lies in the database: encrypted.
type SealedConfig struct {
	Blob    []byte // IV (12) + ciphertext + tag (16)
	Version int    // 0: no additional data; 1: bound to organization, connection and type
	KeyID   string // fingerprint of the key; empty: try every known key
}

// HealthState is the state of a connection's circuit.
type HealthState string

// The circuit's states.
const (
	HealthUnknown HealthState = "UNKNOWN" // not used yet
	Healthy       HealthState = "HEALTHY" // closed: exports run
	Down          HealthState = "DOWN"    // open: exports wait, probes run
)

// Health is what the host knows about a connection's target.
type Health struct {
	State       HealthState
	Code        port.Code  // why it is down
	Reason      string     // for a person; no secrets
	Since       *time.Time // when State was entered
	NextProbeAt *time.Time // when the next probe is due, while Down
	Failures    int        // probes that failed in a row
}

// DraftOrder is an approved order as accepted. It never changes.
type DraftOrder struct {
	OrgID               uuid.UUID
	ID                  uuid.UUID
	Content             []byte // canonical JSON, see package draftorder
	SHA256              [32]byte
	ExternalOrderNumber *string
	CreatedAt           time.Time
}

// ExportStatus is the state of an export.
type ExportStatus string

// The export states. PENDING → SENT → ACKED, or FAILED.
const (
	Pending ExportStatus = "PENDING"
	Sent    ExportStatus = "SENT"
	Acked   ExportStatus = "ACKED"
	Failed  ExportStatus = "FAILED"
)

// FormatVersion is the export format that the host asks connectors to write.
const FormatVersion = "orderflow_export_json_v1"

// Export is one delivery of one draft order over one connection.
type Export struct {
	ID            uuid.UUID // random (version 4): names at the target use its first digits
	OrgID         uuid.UUID
	OrgSlug       string
	ConnectionID  uuid.UUID
	ConnectorType string
	DraftOrderID  uuid.UUID

	ExternalOrderNumber *string
	FormatVersion       string
	Status              ExportStatus
	StorageKey          string // empty: no payload stored yet
	PayloadSize         int64
	PayloadSHA256       []byte
	DropzonePath        string
	ExternalRef         string
	ERPOrderID          string
	Metadata            map[string]string
	Error               *ExportError // the last error, also while PENDING
	IdempotencyKey      string       // empty: none
	RetryOf             *uuid.UUID   // the FAILED export that this one repeats

	AttemptCount  int // attempts started
	FailureCount  int // attempts that count against the limit (outages do not)
	CrashCount    int // attempts that ended with the connector's death
	NextAttemptAt *time.Time
	Checkpoint    []byte // nil: none saved
	// Lease is set while an attempt is under way.
	Lease *Lease

	CreatedAt time.Time
	UpdatedAt time.Time
	SentAt    *time.Time
	AckedAt   *time.Time
}

// Lease says who runs an export's current attempt. All writes of an attempt
// are fenced by (host, attempt): they take effect only while both match.
type Lease struct {
	HostID    uuid.UUID
	ExpiresAt time.Time // the attempt's deadline plus a grace
}

// ExportError is why an export has not gone through.
type ExportError struct {
	Code      port.Code         `json:"code"`
	Message   string            `json:"message"`
	Retryable bool              `json:"retryable"`
	Details   map[string]string `json:"details,omitempty"`
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	OutcomeRunning   Outcome = "RUNNING"   // not ended yet
	OutcomeDelivered Outcome = "DELIVERED" // the ERP has the order
	OutcomeFailed    Outcome = "FAILED"    // final error
	OutcomeRetry     Outcome = "RETRY"     // error, runs again
	OutcomeDeferred  Outcome = "DEFERRED"  // outage or shutdown: runs again, does not count
	OutcomeLost      Outcome = "LOST"      // host or connector died; what happened is unknown
)

// Attempt is one run of an export by a connector.
type Attempt struct {
	ExportID   uuid.UUID
	Number     int
	HostID     uuid.UUID
	HostName   string
	StartedAt  time.Time
	FinishedAt *time.Time
	Outcome    Outcome
	Error      *ExportError
	Recovered  bool
}

// Role is what a token may do.
type Role string

// The roles, from most to least.
const (
	Admin      Role = "ADMIN"      // everything within the organization
	Integrator Role = "INTEGRATOR" // hand in orders; manage connections
	Ops        Role = "OPS"        // retry and resolve exports; test, enable, disable connections
	Viewer     Role = "VIEWER"     // read
)

// Token is an API token; the token itself is not kept, only its hash.
type Token struct {
	ID         uuid.UUID
	OrgID      uuid.UUID
	Name       string
	Role       Role
	Hash       [32]byte // SHA-256 of the token
	CreatedAt  time.Time
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

// HostNode is one run of a host process.
type HostNode struct {
	ID             uuid.UUID
	Name           string
	Version        string
	ConnectorTypes []string
	StartedAt      time.Time
	HeartbeatAt    time.Time
	StoppedAt      *time.Time // clean stop, or declared dead
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID      uuid.UUID // version 7: sorts by time
	OrgID   uuid.UUID
	At      time.Time
	Actor   string // "token:<id>", "cli:<os user>" or "host:<name>"
	Action  string // such as "connection.create"
	Subject string // such as "connection:<id>"
	Details json.RawMessage
}
