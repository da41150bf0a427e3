package sdk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// ExportRequest is one attempt to deliver one order. Its methods talk to the
// host; they may be called until Export returns, one after the other.
type ExportRequest struct {
	// ExportID is a UUID, the same for every attempt.
	ExportID string
	// Attempt counts up from 1.
	Attempt int
	// CreatedAt is when the export was accepted, the same for every attempt:
	// names that are derived from it and ExportID are stable.
	CreatedAt time.Time
	// FormatVersion is the format to write, one of Description.FormatVersions.
	FormatVersion string
	Connection    Connection
	Order         Order
	// Resume is what the earlier attempts stored.
	Resume Resume

	host *exchange
}

// Resume is the durable memory of the earlier attempts of an export.
type Resume struct {
	// Checkpoint is the last one that was saved; nil: none was, so no earlier
	// attempt can have made a step that needs one. An empty one is not nil.
	Checkpoint []byte
	// Payload is the last one that was stored; nil: none.
	Payload *Payload
}

// Payload says where the host keeps the exact bytes of a delivery.
type Payload struct {
	StorageKey string
	Size       int64
	SHA256     [sha256.Size]byte
}

// ExportResult says how an order was delivered. All of it is optional.
type ExportResult struct {
	// StorageKey is the payload that was delivered; empty: the last one that
	// StorePayload, or an earlier attempt, stored.
	StorageKey string
	// DropzonePath is the path of the delivered file at the target, for
	// connectors that drop files.
	DropzonePath string
	// ExternalRef is what a later ack will name.
	ExternalRef string
	// ERPOrderID is the ERP's order number, if it answered at once: the export
	// then does not wait for an ack.
	ERPOrderID string
	// Metadata are facts worth keeping, for a person. At most 64. No secrets.
	Metadata map[string]string
	// Recovered says that an earlier attempt had already delivered the order.
	Recovered bool
}

// StorePayload stores the exact bytes that are delivered, durably, and returns
// where. The file name has 1 to 200 letters, digits, ".", "_" and "-" and does
// not start with ".". It may be called again: the same name with the same
// bytes changes nothing, with other bytes it replaces them.
func (r *ExportRequest) StorePayload(ctx context.Context, fileName string, data []byte) (Payload, error) {
	return r.host.storePayload(ctx, fileName, data)
}

// SaveCheckpoint returns nil once data is durable; a later attempt finds it in
// Resume. It replaces the last checkpoint. At most 64 KiB, no secrets; it may
// come back to a later version of the connector. externalRef is what a later
// ack will name, if that is known already, or empty.
//
// After an error the connector must not go on to the visible step: either the
// host refused (*RefusedError), or the call is over. It may remove what the
// checkpoint names only if MayBeSaved says no.
func (r *ExportRequest) SaveCheckpoint(ctx context.Context, data []byte, externalRef string) error {
	return r.host.saveCheckpoint(ctx, data, externalRef)
}

// Progress tells the host's log and screens what is going on. No secrets. It
// does not wait, and it does not fail: a host that is gone shows elsewhere.
func (r *ExportRequest) Progress(format string, args ...any) {
	r.host.progress(fmt.Sprintf(format, args...))
}

// RefusalReason says why the host did not store something.
type RefusalReason string

// The reasons.
const (
	// RefusedUnspecified stands for a reason that this SDK does not know.
	RefusedUnspecified RefusalReason = "UNSPECIFIED"
	// RefusedSuperseded: another attempt has taken the export over.
	RefusedSuperseded RefusalReason = "SUPERSEDED"
	// RefusedTooLarge: the payload or checkpoint is larger than allowed.
	RefusedTooLarge RefusalReason = "TOO_LARGE"
	// RefusedStorage: the host's storage is not available or full. A checkpoint
	// may have been saved all the same, see MayBeSaved.
	RefusedStorage RefusalReason = "STORAGE"
	// RefusedInvalid: the request broke the contract.
	RefusedInvalid RefusalReason = "INVALID"
)

// MayBeSaved says of an error of SaveCheckpoint whether the checkpoint may be
// durable all the same: the host's storage failed, or its answer was lost. What
// the checkpoint names must then stay for the next attempt. If MayBeSaved says
// no, there will be no attempt that knows of it, and it may be removed.
func MayBeSaved(err error) bool {
	var refused *RefusedError
	if err == nil || !errors.As(err, &refused) {
		return true
	}
	return refused.Reason == RefusedStorage || refused.Reason == RefusedUnspecified
}

// RefusedError says that the host refused to store a payload or a checkpoint.
// The attempt is over: Export makes no step that the ERP can see, removes what
// nobody will look for (see MayBeSaved) and returns the error.
type RefusedError struct {
	Reason  RefusalReason
	Message string
}

// Error returns reason and message.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the host refused (%s): %s", e.Reason, e.Message)
}

// final says that a later attempt would be refused just the same.
func (e *RefusedError) final() bool {
	return e.Reason == RefusedTooLarge || e.Reason == RefusedInvalid
}

func refusedFromProto(p *connectorv1.Refusal) *RefusedError {
	reasons := map[connectorv1.RefusalReason]RefusalReason{
		connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED: RefusedSuperseded,
		connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE:  RefusedTooLarge,
		connectorv1.RefusalReason_REFUSAL_REASON_STORAGE:    RefusedStorage,
		connectorv1.RefusalReason_REFUSAL_REASON_INVALID:    RefusedInvalid,
	}
	reason, ok := reasons[p.GetReason()]
	if !ok {
		reason = RefusedUnspecified
	}
	return &RefusedError{Reason: reason, Message: p.GetMessage()}
}
