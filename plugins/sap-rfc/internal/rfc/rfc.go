// Package rfc is what the connector needs of a way into SAP: call a function
// module with named parameters in a session, commit, roll back, close. It
// knows nothing of the NetWeaver RFC library or of SOAP; packages nwrfc and
// soap implement it.
//
// Values are text in the form in which ABAP keeps them: a date is YYYYMMDD, a
// packed number has a "." and no padding, a NUMC its leading zeros. No
// conversion exit runs on the way, in either direction: a number that SAP
// keeps padded must be sent padded.
package rfc

import (
	"context"
	"slices"
	"time"
)

// Transport opens sessions with one SAP system for one logon.
type Transport interface {
	// Open logs on. It may be called concurrently, it returns when ctx ends even
	// where the attempt itself can't be stopped, and it tries the logon once.
	// Nothing of SAP's data can have changed when it fails.
	Open(ctx context.Context) (Session, error)
	// Describe says what the transport can do.
	Describe() Abilities
}

// Abilities of a transport.
type Abilities struct {
	// UnitOfWork says that the calls of one session share a unit of work, so
	// that a commit saves what an earlier call has prepared. Where it is false,
	// each call is its own unit of work and Commit fails.
	UnitOfWork bool
	// Metadata says that Session.Function works.
	Metadata bool
}

// Session is one ABAP session. It is used by one goroutine at a time.
//
// After an *Error with Broken set, and after a call that was given up, the
// session can only be closed: what it had not committed is lost, and no method
// opens another one behind the caller's back.
type Session interface {
	// Call runs a function module and waits for its answer. When ctx ends the
	// call is cancelled and the session is broken. An *Error tells whether SAP
	// may have run the function.
	Call(ctx context.Context, call Call) (Reply, error)
	// Function returns the parameters of a function module as the system has
	// them, or an *Error of class FunctionMissing.
	Function(ctx context.Context, name string) (Function, error)
	// Commit ends the unit of work with BAPI_TRANSACTION_COMMIT and waits for
	// the update. An error leaves it open whether the work was saved, except for
	// one of class Unsupported or Refused or with Sent false.
	Commit(ctx context.Context) error
	// Rollback drops the unit of work.
	Rollback(ctx context.Context) error
	// Ping asks SAP for any answer.
	Ping(ctx context.Context) error
	// Usable says whether there is any point in a further call. It is false after
	// an error with Broken set, after Close, and after a call that was given up,
	// even if its answer has come at the last moment.
	Usable() bool
	// Close ends the session without waiting for SAP. Work that was not
	// committed is lost. It may be called again.
	Close()
}

// Structure is the fields of one structure or row by their names, in upper
// case. A field that is absent has its initial value.
type Structure map[string]string

// Call is one call of a function module. Parameters that are absent are not
// sent.
type Call struct {
	// Function is its name, in upper case.
	Function string
	// Values are import parameters without fields.
	Values map[string]string
	// Structures are import parameters with fields.
	Structures map[string]Structure
	// Tables are the tables to send. What is not named here does not come back
	// either, so a table that is only read is named with no rows.
	Tables map[string][]Structure
	// Read names the tables that the caller reads afterwards; nil: all of them.
	// A function returns the rows that it was sent, too, with every field of
	// theirs. It is no part of what is sent.
	Read []string `json:"-"`
}

// Reads says whether the caller reads a table.
func (c Call) Reads(table string) bool { return c.Read == nil || slices.Contains(c.Read, table) }

// Reply is what a function module returned: export parameters, and the tables
// that the call named and reads. Trailing blanks are cut off.
type Reply struct {
	Values     map[string]string
	Structures map[string]Structure
	Tables     map[string][]Structure
}

// Function describes a function module.
type Function struct {
	Name       string
	Parameters map[string]Parameter
}

// Direction says which way a parameter goes, seen from the function module.
type Direction int

// The directions.
const (
	Import Direction = iota + 1
	Export
	Changing
	Tables
)

// Parameter describes one parameter.
type Parameter struct {
	Direction Direction
	Optional  bool
	Type      Type
	// Fields of a structure or of a table's rows; nil for a single value.
	Fields map[string]Type
}

// Type describes a single value.
type Type struct {
	// Kind is the ABAP type: "C", "N", "D", "T", "P", "I", "STRING", or "" for
	// what the connector never uses.
	Kind string
	// Length in characters, or in digits for a packed number.
	Length int
	// Decimals of a packed number.
	Decimals int
}

// Names of the functions behind Commit and Rollback.
const (
	CommitFunction   = "BAPI_TRANSACTION_COMMIT"
	RollbackFunction = "BAPI_TRANSACTION_ROLLBACK"
)

// SessionIdle is how long a session may lie idle before it is asked for a sign
// of life ahead of its next use: a firewall may have dropped it meanwhile.
const SessionIdle = 5 * time.Second
