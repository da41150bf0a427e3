package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk/conformance/internal/checks"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/profile"
)

// Target says which connector is tested, with which config and against what.
// Its fields are described in package profile.
type Target = profile.Profile

// Test runs every check against the target as a subtest. A check that does not
// apply, because the connector does not declare a capability or the target
// can't do something, is named in the log with its reason. Checks that are a
// SHOULD are logged and don't fail the test.
func Test(t *testing.T, target Target) {
	t.Helper()
	prepared, err := suite.Prepare(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks.All() {
		t.Run(check.ID, func(t *testing.T) {
			result := prepared.RunCheck(t.Context(), check)
			text := fmt.Sprintf("%s %s (%s)\n  %s", check.Level, check.Title, strings.Join(check.Clauses, ", "),
				strings.Join(result.Problems, "\n  "))
			switch {
			case result.Outcome == suite.Failed && check.Level == suite.Must:
				t.Error(text)
			case result.Outcome == suite.Failed:
				t.Log(text)
			case result.Outcome == suite.Skipped:
				t.Logf("does not apply: %s", result.Reason)
			}
			for _, note := range result.Notes {
				t.Log(note)
			}
		})
	}
}

// Build compiles the Go program in a folder, as it is shipped, and returns the
// path of the binary, which is removed after the test.
func Build(t *testing.T, folder string) string {
	t.Helper()
	absolute, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "orderport-connector-"+filepath.Base(absolute))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, ".")
	build.Dir = absolute
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the connector: %v\n%s", err, out)
	}
	return binary
}

// Options say how to run the checks from a program.
type Options struct {
	// Only, if set, is matched against the ids of the checks.
	Only *regexp.Regexp
	// Repeat runs each check so many times; 0: once.
	Repeat int
	// Parallel is how many checks run at one time; 0: one.
	Parallel int
	// Progress, if set, is told what is going on.
	Progress Progress
}

// Progress is told what is going on; its methods are never called at the same
// time.
type Progress interface {
	// Begin is called once, with the number of checks to come.
	Begin(report Report, checks int)
	// Started and Done are called for each run of a check.
	Started(check Check)
	Done(result Result)
}

// Run runs the checks and returns the report. The error says that nothing
// could be checked, which is no statement about the connector.
func Run(ctx context.Context, target Target, opts Options) (Report, error) {
	selected := suite.Select(checks.All(), opts.Only)
	prepared, err := suite.Prepare(ctx, target)
	if err != nil {
		return Report{}, err
	}
	report := newReport(prepared)
	inner := suite.Options{Repeat: opts.Repeat, Parallel: opts.Parallel}
	if opts.Progress != nil {
		opts.Progress.Begin(report, len(selected)*max(1, opts.Repeat))
		inner.Started = func(c suite.Check) { opts.Progress.Started(describeCheck(c)) }
		inner.Done = func(r suite.Result) { opts.Progress.Done(describeResult(r)) }
	}
	for _, r := range prepared.Run(ctx, selected, inner) {
		report.add(describeResult(r))
	}
	return report, ctx.Err()
}

// Checks lists every check.
func Checks() []Check {
	var all []Check
	for _, c := range checks.All() {
		all = append(all, describeCheck(c))
	}
	return all
}
