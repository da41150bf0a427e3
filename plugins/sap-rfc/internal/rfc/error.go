package rfc

import (
	"errors"
	"fmt"
)

// Class is the kind of a failure, the same for every transport.
type Class int

// The classes.
const (
	// Other: none of the below.
	Other Class = iota
	// Unreachable: SAP, its gateway or its web server can't be reached.
	Unreachable
	// TimedOut: no answer in time, or the caller gave up.
	TimedOut
	// LogonRefused: SAP refused the logon. To repeat it locks the user.
	LogonRefused
	// NotAuthorized: the user may not do this.
	NotAuthorized
	// Untrusted: the other side could not prove who it is.
	Untrusted
	// FunctionMissing: the system has no such function module, or no service.
	FunctionMissing
	// Raised: the function raised an ABAP exception; Key is its name.
	Raised
	// Dumped: the function ended in a short dump or a message of type A, E or X.
	Dumped
	// Refused: the function answered and said no, as a commit may.
	Refused
	// Busy: SAP or the library takes no further session for now.
	Busy
	// BadValue: a parameter, field or value that the function does not take.
	BadValue
	// Unsupported: the transport can't do this.
	Unsupported
	// Misconfigured: the logon's parameters don't make sense.
	Misconfigured
	// NoLibrary: the SAP NetWeaver RFC library can't be loaded.
	NoLibrary
)

var classNames = map[Class]string{
	Other: "failure", Unreachable: "unreachable", TimedOut: "timed out", LogonRefused: "logon refused",
	NotAuthorized: "not authorized", Untrusted: "not trusted", FunctionMissing: "function missing", Raised: "exception", Dumped: "dump",
	Refused: "refused", Busy: "busy", BadValue: "bad value", Unsupported: "not supported", Misconfigured: "wrong parameters", NoLibrary: "no library",
}

// String returns the class in words.
func (c Class) String() string { return classNames[c] }

// Error is a failure of a transport.
type Error struct {
	Class Class
	// Sent says that SAP may have run the function. Where it is false, nothing
	// can have changed.
	Sent bool
	// Broken says that the session can only be closed.
	Broken bool
	// Key is SAP's own name of the failure, such as "FU_NOT_FOUND" or the name
	// of an ABAP exception.
	Key string
	// MessageID is SAP's message as class and number, such as "SR 006".
	MessageID string
	// Message is for a person. No secrets.
	Message string
	// Err is the cause. Its text is not shown.
	Err error
}

// Error returns the message with SAP's key.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Class.String()
	}
	if e.Key != "" {
		text = fmt.Sprintf("%s (%s)", text, e.Key)
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a class with Sent and Broken false.
func Errorf(class Class, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Message: err.Error(), Err: errors.Unwrap(err)}
}

// As returns err as an *Error. What is none is taken for the worst: SAP may
// have run the function, and the session is broken.
func As(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Class: Other, Sent: true, Broken: true, Message: err.Error(), Err: err}
}

// Is reports whether err is an *Error of the class.
func Is(err error, class Class) bool {
	var known *Error
	return errors.As(err, &known) && known.Class == class
}
