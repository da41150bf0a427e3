// Package connector says what the host expects of a connector, in the Port's
// own messages, without saying how it is run. Package pluginhost runs them as
// processes; tests run them in memory.
package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// Port is one connector type, ready to be called. All methods are safe for
// concurrent use. A Port stays valid while its process is restarted or
// replaced: calls go to whichever process is ready, and wait a short while for
// one that is starting.
//
// A method's error is about the call, never about the order: *CrashError,
// *UnavailableError, or the context's error. What the ERP or the connector
// says about the order is in the response.
type Port interface {
	// Describe returns what the connector said of itself. Not to be changed.
	Describe() *connectorv1.DescribeResponse
	TestConnection(ctx context.Context, req *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error)
	// Export runs one attempt. It calls sink for what the connector wants
	// stored, one call at a time, and returns the connector's result. ctx must
	// have a deadline. A connector that breaks the contract (no result, two
	// results, the result of another export, success after a refusal) is a
	// *ContractError. A payload or checkpoint that is too large or misnamed is
	// refused, and the connector's result says so. Any other error of sink is
	// answered with a Refusal, too: the host knows then how far the attempt got.
	Export(ctx context.Context, start *connectorv1.ExportStart, sink Sink) (*connectorv1.ExportResult, error)
	// FetchAcks calls yield for each ack; an error from yield ends the call.
	// What the connector itself says about a failure is a *FetchError.
	FetchAcks(ctx context.Context, req *connectorv1.FetchAcksRequest, yield func(*connectorv1.FetchAcksResponse) error) error
	SettleAcks(ctx context.Context, req *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error)
}

// Sink stores what an attempt asks to be stored.
type Sink interface {
	// StorePayload stores the whole payload durably under the organization's
	// folder. A *RefusedError is passed on to the connector.
	StorePayload(ctx context.Context, fileName string, data []byte) (*connectorv1.PayloadStored, error)
	// SaveCheckpoint returns once the checkpoint is durable. A *RefusedError
	// is passed on to the connector.
	SaveCheckpoint(ctx context.Context, data []byte, externalRef string) error
	// Progress is for logs.
	Progress(message string)
}

// RefusedError makes the host answer a store request with a Refusal.
type RefusedError struct {
	Reason  connectorv1.RefusalReason
	Message string
}

// Error returns the message.
func (e *RefusedError) Error() string { return e.Message }

// CrashError says that the connector's process ended, or had to be killed,
// during the call. What the call did is unknown.
type CrashError struct {
	Type string
	// Reason is such as "killed by signal 9 (SIGKILL)" or "exit status 2",
	// with the last log line if there is one. No secrets.
	Reason string
}

// Error returns type and reason.
func (e *CrashError) Error() string { return fmt.Sprintf("connector %s crashed: %s", e.Type, e.Reason) }

// UnavailableError says that no process of the type could be had. The call was
// not made.
type UnavailableError struct {
	Type   string
	Reason string
	// RetryIn is when the next start is planned; zero: not by itself.
	RetryIn time.Duration
}

// Error returns type and reason.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("connector %s is not available: %s", e.Type, e.Reason)
}

// ContractError says that the connector answered in a way that the contract
// does not allow, or with a gRPC status instead of a response. What the call
// did is unknown.
type ContractError struct {
	Type   string
	Reason string
}

// Error returns type and reason.
func (e *ContractError) Error() string {
	return fmt.Sprintf("connector %s broke the contract: %s", e.Type, e.Reason)
}

// FetchError is a connector's own report of why it could not fetch acks.
type FetchError struct{ Report *connectorv1.Error }

// Error returns code and message.
func (e *FetchError) Error() string {
	return string(port.CodeOf(e.Report.GetCode())) + ": " + e.Report.GetMessage()
}

// RetryAfter is the earliest time for the next try, from now on; zero if the
// connector did not say.
func (e *FetchError) RetryAfter() time.Duration {
	return max(0, e.Report.GetRetryAfter().AsDuration())
}

// UnknownTypeError says that no connector advertises the type.
type UnknownTypeError struct{ Type string }

// Error is the sentence that users see, as the design fixes it.
func (e *UnknownTypeError) Error() string { return "Unknown connector type: " + e.Type }

// ErrAmbiguous is wrapped when two binaries advertise one type.
var ErrAmbiguous = errors.New("several binaries advertise this connector type")

// State is the state of a connector's process.
type State string

// The states.
const (
	Starting    State = "starting"
	Ready       State = "ready"
	Backoff     State = "backoff"     // died; restarts after a pause
	Quarantined State = "quarantined" // died too often, or must not run; see Reason
	Draining    State = "draining"    // being replaced; finishes what it has
	Stopped     State = "stopped"
)

// Status is what an operator sees of one connector binary.
type Status struct {
	Type       string // empty if Describe never worked
	Binary     string // path
	Name       string
	Version    string
	SHA256     string // hex
	Trusted    bool
	State      State
	Reason     string // why it is not ready
	PID        int    // 0: no process
	Since      time.Time
	Restarts   int
	LastExit   string // how the last process ended
	LastLog    []string
	InFlight   int
	StartMilli int64 // how long the last start took, in milliseconds
}

// Registry finds connectors by type. It is fixed in what it offers only while
// nothing changes in the plugin directory.
type Registry interface {
	// Get returns *UnknownTypeError for a type that nobody advertises, an
	// error that wraps ErrAmbiguous and names both binaries where two do, and
	// *UnavailableError for one that is quarantined.
	Get(connectorType string) (Port, error)
	// Isolated is like Get, but the Port has a process of its own that runs
	// one export at a time: for exports that may kill their connector. Each
	// call makes another Port, which is kept until the end: use it again.
	Isolated(connectorType string) (Port, error)
	// Types lists the types that Get returns without an error.
	Types() []string
	// Status lists all binaries of the plugin directory, the unusable ones too.
	Status() []Status
}
