// Command testrun runs the tests of several modules and hides no skipped test.
//
//	testrun [-strict] MODULE-FOLDER... [-- GO-TEST-FLAG...]
//
// It runs "go test ./..." in each folder, prints the line of each package, the
// output of what failed, what tests log after "measured: ", the reason of each
// skip, and at the end one line for all: "N passed, N failed, N skipped". With -strict a skip is a failure,
// because the services that tests skip without are there. Two reasons still
// count: ORDERPORT_TEST_ORDERS is not set (that data is not part of the
// repository), or the test says that it needs root and we are not.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	strict := flag.Bool("strict", false, "a skipped test is a failure")
	flag.Parse()
	folders, flags := flag.Args(), []string(nil)
	if i := slices.Index(folders, "--"); i >= 0 {
		folders, flags = folders[:i], folders[i+1:]
	}
	if len(folders) == 0 {
		fmt.Fprintln(os.Stderr, "usage: testrun [-strict] MODULE-FOLDER... [-- GO-TEST-FLAG...]")
		os.Exit(2)
	}
	r := newReport(os.Stdout, os.Geteuid() == 0)
	broken := false
	for _, folder := range folders {
		if err := runModule(folder, flags, r); err != nil {
			fmt.Fprintf(os.Stdout, "FAIL: %s: %v\n", filepath.Base(folder), err)
			broken = true
		}
	}
	if !r.close(*strict) || broken {
		os.Exit(1)
	}
}

// runModule returns an error whenever go test does not exit with 0.
func runModule(folder string, flags []string, r *report) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, append(flags, "./...")...)...)
	cmd.Dir = folder
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := r.read(out); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w\n%s", err, complaints.Bytes())
	}
	return nil
}

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Output     string
}

// report collects what the tests of all modules did.
type report struct {
	out                     io.Writer
	root                    bool                // who runs the tests
	output                  map[string][]string // of each test that has not ended
	skips                   []skip
	passed, failed, skipped int
}

type skip struct{ test, reason string }

func newReport(out io.Writer, root bool) *report {
	return &report{out: out, root: root, output: map[string][]string{}}
}

// read takes the events of one go test.
func (r *report) read(stream io.Reader) error {
	decoder := json.NewDecoder(stream)
	for {
		var e event
		switch err := decoder.Decode(&e); {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read the output of go test: %w", err)
		}
		r.add(e)
	}
}

func (r *report) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if e.Test == "" {
			r.packageOutput(key, e.Output)
			return
		}
		if !strings.HasPrefix(e.Output, "=== ") { // which test runs, pauses, goes on
			r.output[key] = append(r.output[key], e.Output)
		}
	case "pass", "fail", "skip":
		r.end(e, key)
	}
}

// packageOutput passes on the lines that go test prints about a package, and
// keeps the rest, which only matters if the package fails.
func (r *report) packageOutput(key, line string) {
	for _, start := range []string{"ok  \t", "FAIL\t"} {
		if strings.HasPrefix(line, start) {
			fmt.Fprint(r.out, line)
			return
		}
	}
	r.output[key] = append(r.output[key], line)
}

func (r *report) end(e event, key string) {
	lines := r.output[key]
	delete(r.output, key)
	if e.Action == "fail" {
		fmt.Fprint(r.out, strings.Join(lines, ""))
	}
	if e.Test == "" {
		if e.Action == "fail" {
			r.unfinished(e.Package)
		}
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
		r.measured(lines)
	case "fail":
		r.failed++
	case "skip":
		r.skipped++
		r.skips = append(r.skips, skip{test: key, reason: reason(lines)})
	}
}

// measured passes on what a test says that it has measured.
func (r *report) measured(lines []string) {
	for _, line := range lines {
		if _, text, ok := strings.Cut(line, "measured: "); ok {
			fmt.Fprint(r.out, "measured: ", text)
		}
	}
}

// unfinished prints what the tests had said that a panic or a time-out cut off.
func (r *report) unfinished(pkg string) {
	for key, lines := range r.output {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(r.out, strings.Join(lines, ""))
			delete(r.output, key)
			r.failed++
		}
	}
}

// reason takes what t.Skip was given out of a test's output.
func reason(lines []string) string {
	var said []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// close prints the skips and the closing line. It is false if a test failed,
// or was skipped and may not be.
func (r *report) close(strict bool) bool {
	ok := r.failed == 0
	for _, s := range r.skips {
		word := "skipped"
		if strict && !r.mayBeSkipped(s.reason) {
			word, ok = "skipped, but must run", false
		}
		fmt.Fprintf(r.out, "%s: %s: %s\n", word, s.test, s.reason)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return ok
}

var needsRoot = regexp.MustCompile(`\broot\b`)

func (r *report) mayBeSkipped(reason string) bool {
	return strings.Contains(reason, "ORDERPORT_TEST_ORDERS") || !r.root && needsRoot.MatchString(reason)
}
