package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/orderport/orderport/sdk/conformance"
	"github.com/orderport/orderport/sdk/conformance/report"
)

// check runs the checks and prints the report.
func check(ctx context.Context, opts options, stdout, stderr io.Writer) int {
	// With --json, standard output belongs to the document.
	screen := stdout
	if opts.json {
		screen = stderr
	}
	terminal := report.NewTerminal(screen, colourful(opts.color, screen), opts.verbose)
	opts.run.Progress = terminal
	result, err := conformance.Run(ctx, opts.target, opts.run)
	if err != nil {
		fmt.Fprintf(stderr, "orderport-conformance: %v\n", err)
		return cannotRun
	}
	if len(result.Results) == 0 {
		fmt.Fprintln(stderr, "orderport-conformance: --run matches no check")
		return usage
	}
	terminal.End(result)
	if err := write(opts, result, stdout); err != nil {
		fmt.Fprintf(stderr, "orderport-conformance: write the report: %v\n", err)
		return cannotRun
	}
	if !result.Conforms && result.FailedMust == 0 && result.Passed > 0 {
		return conforms // a selection of checks that are a SHOULD
	}
	switch {
	case result.Conforms:
		return conforms
	case result.FailedMust == 0 && result.FailedShould == 0:
		fmt.Fprintln(stderr, "orderport-conformance: no check applies")
		return cannotRun
	default:
		return failed
	}
}

func write(opts options, result conformance.Report, stdout io.Writer) error {
	if opts.json {
		if err := report.JSON(stdout, result); err != nil {
			return err
		}
	}
	if opts.junit == "" {
		return nil
	}
	file, err := os.Create(opts.junit)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := report.JUnit(file, result); err != nil {
		return err
	}
	return file.Close()
}

// colourful says whether somebody watches the screen.
func colourful(wish string, screen io.Writer) bool {
	if wish != "auto" {
		return wish == "always"
	}
	file, ok := screen.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// list prints every check that is selected.
func list(stdout io.Writer, opts options) {
	for _, c := range conformance.Checks() {
		if opts.run.Only.MatchString(c.ID) {
			fmt.Fprintf(stdout, "%-6s %-38s %-24s %s\n", c.Level, c.ID, strings.Join(c.Clauses, " "), c.Title)
		}
	}
}
