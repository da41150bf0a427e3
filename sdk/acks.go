package sdk

import (
	"context"
	"errors"
	"time"
)

// AckSource is implemented by a connector whose ERP answers later. The host
// then knows the capability by itself.
type AckSource interface {
	// FetchAcks calls yield for each answer that the ERP has left. It changes
	// nothing at the target: what is not settled is fetched again (ACK-01). An error
	// from yield ends the call and is returned as it is.
	FetchAcks(ctx context.Context, req FetchAcksRequest, yield func(Ack) error) error

	// SettleAcks is told which acks the host has committed; only now may the
	// connector move or delete anything. Settling a handle that is settled
	// already, or gone, succeeds (ACK-08). An error holds for all settlements, one in
	// the result for its own.
	SettleAcks(ctx context.Context, req SettleAcksRequest) (SettleAcksResult, error)
}

// FetchAcksRequest asks for the acks of one connection.
type FetchAcksRequest struct {
	Connection Connection
	// Limit is how many acks to yield at most; 0: the connector's own bound.
	Limit int
}

// ErrEnough is what yield returns once the limit is reached. Returning it from
// FetchAcks is no failure.
var ErrEnough = errors.New("enough acks")

// Ack is the ERP's answer to one order.
type Ack struct {
	// Handle is what to settle later, unique within the target for as long as
	// the ack is there.
	Handle string
	// ExternalRef is what the ack is about, as ExportResult.ExternalRef said.
	// It may be empty for a Malformed one.
	ExternalRef string
	// Answer is an Accepted, a Declined or a Malformed.
	Answer Answer
	// ProcessedAt is when the ERP answered, if it says so.
	ProcessedAt time.Time
}

// Answer is one of Accepted, Declined and Malformed.
type Answer interface{ isAnswer() }

// Accepted says that the ERP took the order.
type Accepted struct{ ERPOrderID string }

// Declined says that the ERP refused the order, with its own code.
type Declined struct{ Code, Message string }

// Malformed says that something is there that can't be read as an ack.
type Malformed struct{ Reason string }

func (Accepted) isAnswer()  {}
func (Declined) isAnswer()  {}
func (Malformed) isAnswer() {}

// SettleAcksRequest tells what became of fetched acks.
type SettleAcksRequest struct {
	Connection  Connection
	Settlements []Settlement
}

// Settlement is the host's verdict on one fetched ack.
type Settlement struct {
	Handle  string
	Verdict Verdict
	// Reason says why it was rejected, for a person.
	Reason string
}

// Verdict is what the host did with an ack.
type Verdict int

// The verdicts. A connector is never called with another one.
const (
	// Processed: the host has committed what the ack says.
	Processed Verdict = iota + 1
	// Rejected: the ack is malformed or foreign. Set it aside, never delete it.
	Rejected
)

// SettleAcksResult reports on the settlements.
type SettleAcksResult struct {
	// Failed holds the error of each handle that could not be settled. It will
	// be fetched and settled again.
	Failed map[string]error
}

// Fail records that a handle could not be settled.
func (r *SettleAcksResult) Fail(handle string, err error) {
	if r.Failed == nil {
		r.Failed = make(map[string]error)
	}
	r.Failed[handle] = err
}
