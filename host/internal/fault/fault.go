// Package fault is the host's one error type: a stable code, a message for a
// person, the field that is wrong, and what to do about it. Where a failure
// leaves the host (HTTP, command line) this package decides the status.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind is the coarse class of a failure; it decides HTTP status and exit code.
type Kind int

// The kinds.
const (
	Internal        Kind = iota // a fault of ours; details are logged, not shown
	Invalid                     // the request was understood and is wrong: 422
	Malformed                   // the request can't be read: 400
	Unauthenticated             // no valid token: 401
	Forbidden                   // the token's role may not do this: 403
	NotFound                    // no such thing in this organization: 404
	Conflict                    // it collides with what is there: 409
	TooLarge                    // over a size bound: 413
	Encoded                     // the body is compressed or the like: 415
	Unavailable                 // try again later: 503
)

var statuses = map[Kind]int{
	Internal:        http.StatusInternalServerError,
	Invalid:         http.StatusUnprocessableEntity,
	Malformed:       http.StatusBadRequest,
	Unauthenticated: http.StatusUnauthorized,
	Forbidden:       http.StatusForbidden,
	NotFound:        http.StatusNotFound,
	Conflict:        http.StatusConflict,
	TooLarge:        http.StatusRequestEntityTooLarge,
	Encoded:         http.StatusUnsupportedMediaType,
	Unavailable:     http.StatusServiceUnavailable,
}

// HTTPStatus returns the status that an API answer of this kind has.
func (k Kind) HTTPStatus() int { return statuses[k] }

// Violation names one wrong field by its path, such as "lines[2].qty". It
// never holds the value of a secret.
type Violation struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error is a failure that a user may see.
type Error struct {
	Kind    Kind
	Code    string // stable, lower snake case, such as "connection_exists"
	Message string // lower case, no full stop, no secrets
	Hint    string // what to do, or empty
	// Violations lists every wrong field of an Invalid or Malformed request.
	Violations []Violation
	Err        error // the cause, for logs; never shown to API users
}

// New makes an Error with a formatted message.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint sets what to do and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithField adds a violation and returns e.
func (e *Error) WithField(path, format string, args ...any) *Error {
	e.Violations = append(e.Violations, Violation{Path: path, Message: fmt.Sprintf(format, args...)})
	return e
}

// Because sets the cause and returns e.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// Error returns message and cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code, so that a bare
// value can serve as a sentinel.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// From returns the *Error in err's chain, or an Internal one that wraps err.
// It returns nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Code: "internal", Message: "internal error", Err: err}
}
