package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/orderport/orderport/sdk/conformance"
)

// Terminal prints a report as it comes. It implements conformance.Progress.
type Terminal struct {
	out     io.Writer
	tty     bool // progress is overwritten, and there are colours
	verbose bool
	total   int
	done    int
	running []string
}

var _ conformance.Progress = (*Terminal)(nil)

// NewTerminal returns a Terminal. Without tty it prints plain lines. With
// verbose it also prints notes and the titles of what has passed.
func NewTerminal(out io.Writer, tty, verbose bool) *Terminal {
	return &Terminal{out: out, tty: tty, verbose: verbose}
}

// Begin implements conformance.Progress.
func (t *Terminal) Begin(r conformance.Report, checks int) {
	t.total = checks
	fmt.Fprintf(t.out, "%s %s (%s), target %s, %d checks\nsha256 %s  %s\n\n",
		r.ConnectorType, r.Version, r.Name, r.Target, checks, r.SHA256, r.Binary)
}

// Started implements conformance.Progress.
func (t *Terminal) Started(c conformance.Check) {
	t.running = append(t.running, c.ID)
	t.status()
}

// status shows what is running, on a terminal only.
func (t *Terminal) status() {
	if t.tty && len(t.running) > 0 {
		fmt.Fprintf(t.out, "\r\x1b[2K[%d/%d] %s", t.done, t.total, t.running[0])
	}
}

// Done implements conformance.Progress.
func (t *Terminal) Done(r conformance.Result) {
	t.done++
	for i, id := range t.running {
		if id == r.ID {
			t.running = append(t.running[:i], t.running[i+1:]...)
			break
		}
	}
	if t.tty {
		fmt.Fprint(t.out, "\r\x1b[2K")
	}
	mark, colour := marks(r)
	again := ""
	if r.Run > 1 {
		again = fmt.Sprintf(" (run %d)", r.Run)
	}
	fmt.Fprintf(t.out, "%s %-38s %s%s  %.1fs\n", t.paint(colour, mark), r.ID, r.Title, again, r.Seconds)
	for _, problem := range r.Problems {
		fmt.Fprintf(t.out, "       %s\n", strings.ReplaceAll(problem, "\n", "\n       "))
	}
	if len(r.Problems) > 0 {
		fmt.Fprintf(t.out, "       %s\n", t.paint("2", r.Level+" by "+strings.Join(r.Clauses, ", ")+" of the contract"))
	}
	if r.Reason != "" {
		fmt.Fprintf(t.out, "       %s\n", r.Reason)
	}
	if t.verbose || len(r.Problems) > 0 {
		for _, note := range r.Notes {
			fmt.Fprintf(t.out, "       note: %s\n", note)
		}
	}
	t.status()
}

// End prints the sums.
func (t *Terminal) End(r conformance.Report) {
	verdict, colour := "conforms to the contract", "32"
	if !r.Conforms {
		verdict, colour = "does not conform to the contract", "31"
	}
	fmt.Fprintf(t.out, "\n%d passed, %d failed, %d failed that only should pass, %d do not apply\n%s\n",
		r.Passed, r.FailedMust, r.FailedShould, r.Skipped,
		t.paint(colour, r.ConnectorType+" "+r.Version+" "+verdict))
}

func marks(r conformance.Result) (mark, colour string) {
	switch {
	case r.Outcome == "passed":
		return "pass", "32"
	case r.Outcome == "skipped":
		return "n/a ", "36"
	case r.Level == "SHOULD":
		return "warn", "33"
	default:
		return "FAIL", "31"
	}
}

func (t *Terminal) paint(colour, text string) string {
	if !t.tty {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
