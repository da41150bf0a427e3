// Package checks holds the conformance checks, a file for each group. Each
// check is a function that uses a suite.T much as a test uses a testing.T.
package checks

import (
	"slices"

	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

// All lists every check in the order in which they are run.
func All() []suite.Check {
	return slices.Concat(
		handshake(),
		describe(),
		schema(),
		testConnection(),
		secrets(),
		shutdown(),
		leaks(),
		large(),
		export(),
		concurrency(),
		tunnels(),
		cancellation(),
		kill(),
		moments(),
		text(),
		malformed(),
		acks(),
		settlement(),
	)
}
