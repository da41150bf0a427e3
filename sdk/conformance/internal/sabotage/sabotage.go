// Package sabotage lists the ways in which the connector of package mutant can
// be broken on purpose, each with the check that must notice.
package sabotage

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/orderport/orderport/sdk/conformance/profile"
)

// Sabotage is one fault.
type Sabotage struct {
	// Name is how the code of the mutant asks for it.
	Name string
	// What says what is wrong, for the table of mutants.
	What string
	// Check is the id of the check that must fail.
	Check string
	// Words must be in what the check says about it.
	Words string
	// Target is the target to show it with. Empty: a directory.
	Target profile.Kind
}

// prefix starts the file name of every mutant. A connector has neither
// arguments nor environment of its own, so its name says how it is broken.
const prefix = "orderport-connector-mutant-"

// Sound is the name of the mutant that is not broken, Plain that of a sound one
// without any capability.
const (
	Sound = "sound"
	Plain = "plain"
)

// Binary returns the file name of a mutant.
func Binary(name string) string { return prefix + name }

// Of returns the name of the sabotage that a binary's path asks for.
func Of(binary string) string {
	_, name, _ := strings.Cut(filepath.Base(binary), prefix)
	return name
}

// Moved says whether a binary's name has something before it.
func Moved(binary string) bool { return !strings.HasPrefix(filepath.Base(binary), prefix) }

// All lists every sabotage, by the group of checks that notices it.
func All() []Sabotage {
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
		places(),
		concurrency(),
		tunnels(),
		cancellation(),
		kill(),
		calls(),
		moments(),
		text(),
		malformed(),
		acks(),
		badAcks(),
		settlements(),
	)
}
