// Package sapsim is a small simulated SAP system for tests. It knows what the
// connector needs of one: users, sessions with a unit of work, number ranges,
// master data, locks, sales orders, and the function modules around them.
//
// It is made to be as unforgiving as the real thing. Work that was not
// committed in its own session is lost, and its number is used up all the same.
// "has been saved" is said before the commit. No conversion exit runs, so a
// number without its leading zeros is another number. A client that goes away
// does not stop the function that it has called: it runs on, and what it
// commits is committed.
//
// What is known of SAP only with doubt is a [Quirks] switch, so that tests can
// run both ways. What goes wrong on the way is a [Fault].
//
// A System is reached by [System.Logon] and [Session.Call]. Package gateway
// serves it to the C library that package sdk compiles, which has the functions
// of the SAP NetWeaver RFC library; package icf serves it as SAP's RFC service,
// where each request is a session of its own. cmd/sapsim is a program of them
// all.
//
// The files: system.go, session.go and fault.go are the machine; function.go,
// dictionary.go and layout.go say which functions and structures there are, also
// by release; create.go, commit.go, read.go, table.go, plain.go and customer.go
// are the functions; masters.go and messages.go are what they check and say.
package sapsim
