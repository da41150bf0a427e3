// Command orderport-conformance checks whether a connector binary keeps the
// contract of the Port. It needs nothing but the binary and a profile that
// says which config to use against which target:
//
//	orderport-conformance --profile conformance.yaml ./orderport-connector-example
//
// It exits with 0 if all checks that are a MUST have passed, 1 if one has
// failed, 2 after wrong usage, and 3 if nothing could be checked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

var version = "1.0.0"

// The exit codes.
const (
	conforms  = 0
	failed    = 1
	usage     = 2
	cannotRun = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return conforms
	}
	if err != nil {
		fmt.Fprintf(stderr, "orderport-conformance: %v\nTry orderport-conformance --help.\n", err)
		return usage
	}
	switch {
	case opts.version:
		fmt.Fprintln(stdout, "orderport-conformance "+version)
		return conforms
	case opts.list:
		list(stdout, opts)
		return conforms
	}
	return check(ctx, opts, stdout, stderr)
}
