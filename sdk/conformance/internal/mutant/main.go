// Command mutant is a connector that delivers orders as files, into a directory
// or over SFTP, and is broken in one way on purpose: that which its file name
// asks for, see package sabotage. As "sound" it is not broken.
//
// It is written from CONTRACT.md without the SDK, which would keep it from
// doing many of the wrong things.
package main

import (
	"fmt"
	"os"

	"github.com/orderport/orderport/sdk/conformance/internal/sabotage"
	"github.com/orderport/orderport/sdk/port"
)

func main() {
	m := &mutant{broken: sabotage.Of(os.Args[0])}
	if os.Getenv(port.CookieKey) != port.CookieValue && !m.is("serves-without-cookie") {
		if !m.is("no-hint-without-cookie") {
			fmt.Fprintln(os.Stderr, "This connector is started by Orderport.")
		}
		os.Exit(1)
	}
	if err := m.serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// mutant is the connector. Its fields do not change once it serves.
type mutant struct {
	broken string // the sabotage's name
	log    *logger
	state  // what only broken ones keep
}

// is says whether the mutant is broken in that way.
func (m *mutant) is(name string) bool { return m.broken == name }
