package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/orderport/orderport/host/internal/view"
)

// printer writes results.
type printer struct {
	to    io.Writer
	json  bool // one document
	lines bool // lists as one document a line
}

// document prints v as indented JSON.
func (p *printer) document(v any) error {
	encoder := json.NewEncoder(p.to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// line prints v as one line of JSON.
func (p *printer) line(v any) error {
	encoder := json.NewEncoder(p.to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// show prints one thing: as JSON if that is wanted, otherwise with human.
func (p *printer) show(v any, human func(w io.Writer)) error {
	if p.json || p.lines {
		if p.lines {
			return p.line(v)
		}
		return p.document(v)
	}
	human(p.to)
	return nil
}

// showList prints a list: as JSON, as NDJSON, or as a table.
func showList[T any](p *printer, list view.List[T], head []string, row func(T) []string) error {
	switch {
	case p.lines:
		for _, item := range list.Items {
			if err := p.line(item); err != nil {
				return err
			}
		}
		return nil
	case p.json:
		return p.document(list)
	}
	t := newTable(p.to, head...)
	for _, item := range list.Items {
		t.row(row(item)...)
	}
	return t.flush()
}

// table is aligned columns.
type table struct{ w *tabwriter.Writer }

func newTable(to io.Writer, head ...string) *table {
	t := &table{w: tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = oneLine(cell)
	}
	for len(safe) > 0 && safe[len(safe)-1] == "" {
		safe = safe[:len(safe)-1]
	}
	fmt.Fprintln(t.w, strings.Join(safe, "\t"))
}

func (t *table) flush() error { return t.w.Flush() }

// oneLine keeps a stranger's text from moving the cursor or breaking a table.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// or returns the text, or a dash where there is none.
func or(text *string) string {
	if text == nil || *text == "" {
		return "-"
	}
	return *text
}

// facts prints names and values, aligned.
func facts(w io.Writer, pairs ...[2]string) {
	t := &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	for _, pair := range pairs {
		if pair[1] != "" && pair[1] != "-" {
			t.row(pair[0], pair[1])
		}
	}
	_ = t.flush()
}

func printTest(w io.Writer, result view.TestResult) {
	for _, step := range result.Steps {
		mark := "ok  "
		if !step.Success {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "  %s  %s (%d ms) %s\n", mark, oneLine(step.Name), step.LatencyMS, oneLine(step.Message))
	}
	if result.Error != nil {
		fmt.Fprintf(w, "  %s: %s\n", result.Error.Code, oneLine(result.Error.Message))
	}
}
