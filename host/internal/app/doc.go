// Package app holds what users can do with Orderport, once: the HTTP API and
// the command line are two ways to call these services.
//
// Every call names its Actor. A service checks the actor's role against one
// table (see Action), works within the actor's organization only, and leaves
// an entry in the audit log for every change. Failures are *fault.Error, so a
// caller never has to know which service it talks to.
//
// Start with Services, which holds one of each.
package app
