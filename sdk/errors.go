package sdk

import (
	"fmt"
	"time"

	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/port"
)

// Code is the kind of a failure, from the Port's one list.
type Code = port.Code

// The codes that a connector may use. The comments in connector.proto say when.
const (
	InvalidConfig        = port.InvalidConfig
	InvalidOrder         = port.InvalidOrder
	Unreachable          = port.Unreachable
	Timeout              = port.Timeout
	AuthenticationFailed = port.AuthenticationFailed
	PermissionDenied     = port.PermissionDenied
	HostKeyMismatch      = port.HostKeyMismatch
	NotFound             = port.NotFound
	Conflict             = port.Conflict
	Throttled            = port.Throttled
	RejectedByERP        = port.RejectedByERP
	OutcomeUnknown       = port.OutcomeUnknown
	Unimplemented        = port.Unimplemented
	Internal             = port.Internal
)

// Violation names one wrong field of a config or an order by its path, such as
// "lines[2].qty". It never holds the value.
type Violation = configschema.Violation

// Error is a failure that tells the host what to do. From Export, a final one
// (Retryable false) promises that the ERP does not have the order, unless its
// code is OutcomeUnknown.
type Error struct {
	Code Code
	// Message is for a person: what failed and, if it is known, what to do. It
	// is shown and logged, so it holds no secrets.
	Message string
	// Retryable says whether the same call may succeed later with nobody
	// changing the order.
	Retryable bool
	// RetryAfter is the earliest time for the next try, from now on. Zero: the
	// host decides.
	RetryAfter time.Duration
	// Details are facts for a person or a program. No secrets.
	Details map[string]string
	// Violations name the wrong fields, for InvalidConfig and InvalidOrder.
	Violations []Violation
	// Err is the cause, for errors.Is and errors.As. Its text stays in the
	// connector: what a person needs belongs in Message.
	Err error
}

// Errorf makes an Error that is retryable if its code usually is. The format
// is that of fmt.Errorf; an error given to %w becomes the cause, and its text
// is part of the message.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Retryable: code.Retryable(), Err: err}
}

// Error returns the message, or the code if there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code and nothing else
// set, so that errors.Is(err, &sdk.Error{Code: sdk.Conflict}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == "" && t.Err == nil
}
