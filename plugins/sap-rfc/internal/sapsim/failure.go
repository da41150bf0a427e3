package sapsim

// Kind is the sort of a failure.
type Kind int

// The kinds.
const (
	// Exception is an ABAP exception: the session goes on.
	Exception Kind = iota
	// Message is a message of type A, E or X that nobody caught: it ends the
	// session.
	Message
	// Dump is a short dump: it ends the session.
	Dump
	// LogonRefused lets nobody in.
	LogonRefused
	// Communication is a failure of the gateway.
	Communication
	// Authority is a missing authority, where it has a kind of its own.
	Authority
)

// Failure is how a call or a logon fails, in SAP's terms.
type Failure struct {
	Kind Kind
	// Key is the name of an exception, a dump or a condition.
	Key     string
	Message string
	// ID, Type and Number are SAP's message, such as SR, E and 006.
	ID, Type, Number string
	Variables        [4]string
}

// Error returns the message with the key.
func (f *Failure) Error() string { return f.Message + " (" + f.Key + ")" }

// Ends says that the session has ended with it.
func (f *Failure) Ends() bool { return f.Kind != Exception && f.Kind != Authority }

func logonFailure(message string) *Failure {
	return &Failure{Kind: LogonRefused, Key: "RFC_LOGON_FAILURE", Message: message}
}

func exception(key string) *Failure {
	return &Failure{Kind: Exception, Key: key, Message: key, Number: "000"}
}

func dump(key, message string) *Failure {
	return &Failure{Kind: Dump, Key: key, Message: message}
}
