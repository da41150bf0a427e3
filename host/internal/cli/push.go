package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/term"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/draftorder"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/ndjson"
	"github.com/orderport/orderport/host/internal/view"
)

type pushCommand struct {
	File    string        `arg:"" help:"Orders: one a line (NDJSON), one JSON document, or a JSON list of them; '-' reads standard input."`
	Org     string        `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
	Type    string        `help:"Connector type to deliver to. Needed if the organization has active connections of several types." placeholder:"TYPE"`
	Wait    bool          `help:"Wait until every order is sent or has failed. Needs a running host."`
	Timeout time.Duration `help:"How long --wait waits." default:"10m"`
}

// pushSummary is what push prints with --json.
type pushSummary struct {
	Accepted int              `json:"accepted"` // handed in now
	Known    int              `json:"known"`    // handed in before
	Refused  int              `json:"refused"`
	Statuses map[string]int   `json:"statuses,omitempty"` // with --wait: exports by status
	Refusals []view.BatchLine `json:"refusals"`
	Exports  []string         `json:"exports"` // ids of the exports, in the order of the input
}

// push is one run of pushCommand.
type push struct {
	s        *session
	o        *office
	actor    app.Actor
	command  *pushCommand
	progress *progress
	summary  pushSummary
}

// Run hands in the orders. One that is refused is exit code 1, and so is, with
// --wait, one that is not sent in the end.
func (c *pushCommand) Run(s *session) error {
	file, err := s.input(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	p := &push{
		s: s, o: o, actor: s.operator(org.ID), command: c, progress: newProgress(s.env.Stderr, sizeOf(file)),
		summary: pushSummary{Refusals: []view.BatchLine{}, Exports: []string{}},
	}
	started := time.Now()
	if err := p.handIn(file); err != nil {
		return err
	}
	p.progress.end()
	if c.Wait {
		if err := p.wait(); err != nil {
			return err
		}
	}
	if err := p.report(time.Since(started)); err != nil {
		return err
	}
	if p.summary.Refused > 0 || p.summary.Statuses[string(domain.Failed)]+p.summary.Statuses[string(domain.Pending)] > 0 {
		return errReported
	}
	return nil
}

// handIn accepts the orders in groups.
func (p *push) handIn(file io.Reader) error {
	next := orders(p.progress.count(file))
	var group []app.HandIn
	var numbers []int
	flush := func() {
		p.accept(group, numbers)
		group, numbers = group[:0], numbers[:0]
	}
	for {
		order, number, err := next()
		if errors.Is(err, io.EOF) {
			flush()
			return nil
		}
		if f := fault.From(err); err != nil && f.Kind != fault.TooLarge {
			flush()
			return err
		} else if err != nil {
			p.refuse(number, f)
			continue
		}
		group, numbers = append(group, app.HandIn{Order: order, ConnectorType: p.command.Type}), append(numbers, number)
		if len(group) == app.GroupLimit {
			flush()
		}
	}
}

func (p *push) accept(group []app.HandIn, numbers []int) {
	for i, out := range p.o.Intake.AcceptGroup(p.s.ctx, p.actor, group) {
		switch {
		case out.Err != nil:
			p.refuse(numbers[i], out.Err)
			continue
		case out.Created:
			p.summary.Accepted++
		default:
			p.summary.Known++
		}
		p.summary.Exports = append(p.summary.Exports, out.Export.ID.String())
	}
	p.progress.say(p.summary.Accepted+p.summary.Known, p.summary.Refused)
}

// mostRefusals bounds what is reported in detail.
const mostRefusals = 100

func (p *push) refuse(number int, err error) {
	p.summary.Refused++
	if len(p.summary.Refusals) >= mostRefusals {
		return
	}
	problem := view.NewProblem(fault.From(err), "", "")
	p.summary.Refusals = append(p.summary.Refusals, view.BatchLine{Line: number, Status: problem.Status, Error: &problem})
}

// wait polls until no export is PENDING. Those that are not when the time is
// over are counted as they are.
func (p *push) wait() error {
	over, cancel := context.WithTimeout(p.s.ctx, p.command.Timeout)
	defer cancel()
	p.summary.Statuses = map[string]int{}
	for i, text := range p.summary.Exports {
		id, err := uuid.Parse(text)
		if err != nil {
			return err
		}
		export, err := p.o.Exports.Wait(p.s.ctx, p.actor, id, over.Done(), 50*time.Millisecond)
		if err != nil {
			return err
		}
		p.summary.Statuses[string(export.Status)]++
		p.progress.waiting(i+1, len(p.summary.Exports))
	}
	p.progress.end()
	return nil
}

func (p *push) report(took time.Duration) error {
	v := p.summary
	return p.s.out.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "%d accepted, %d known before, %d refused (%s)\n", v.Accepted, v.Known, v.Refused, took.Round(time.Millisecond))
		for _, line := range v.Refusals {
			fmt.Fprintf(w, "  line %d: %s\n", line.Line, oneLine(line.Error.Detail))
			for _, violation := range line.Error.Violations {
				fmt.Fprintf(w, "    %s: %s\n", oneLine(violation.Path), oneLine(violation.Message))
			}
		}
		if v.Refused > len(v.Refusals) {
			fmt.Fprintf(w, "  … and %d more\n", v.Refused-len(v.Refusals))
		}
		for _, status := range []domain.ExportStatus{domain.Sent, domain.Acked, domain.Failed, domain.Pending} {
			if n := v.Statuses[string(status)]; n > 0 {
				fmt.Fprintf(w, "%s %d\n", status, n)
			}
		}
		if v.Statuses[string(domain.Pending)] > 0 {
			fmt.Fprintln(w, "some orders are still waiting: `orderport doctor` says what keeps them, such as no host that is running, or a connection that is down")
		}
	})
}

// orders returns a function that reads one order after the other: the lines of
// an NDJSON file, or the parts of a JSON document. The number is the line's or
// the order's, from 1.
func orders(r io.Reader) func() (json.RawMessage, int, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if isDocument(buffered) {
		return documentOrders(buffered)
	}
	lines := ndjson.NewReader(buffered, draftorder.MaxSize)
	return func() (json.RawMessage, int, error) {
		line, number, err := lines.Next()
		if errors.Is(err, ndjson.ErrTooLong) {
			err = fault.New(fault.TooLarge, "order_too_large", "the line is larger than the limit of %d bytes", draftorder.MaxSize)
		}
		return line, number, err
	}
}

// isDocument says whether the input is a JSON list, or one order over several
// lines: then its first line is no JSON by itself.
func isDocument(r *bufio.Reader) bool {
	head, err := r.Peek(r.Size())
	head = bytes.TrimLeft(head, " \t\r\n")
	line, _, found := bytes.Cut(head, []byte("\n"))
	if startsList(r) {
		return true
	}
	longLine := !found && err == nil
	return !longLine && bytes.HasPrefix(head, []byte("{")) && !json.Valid(line)
}

func documentOrders(r *bufio.Reader) func() (json.RawMessage, int, error) {
	decoder := json.NewDecoder(r)
	list := startsList(r)
	if list {
		_, _ = decoder.Token() // the bracket; what is wrong behind it shows below
	}
	number := 0
	return func() (json.RawMessage, int, error) {
		if list && !decoder.More() {
			return nil, number, io.EOF
		}
		number++
		var order json.RawMessage
		err := decoder.Decode(&order)
		if err != nil && !errors.Is(err, io.EOF) {
			err = fault.New(fault.Malformed, "malformed_request", "order %d is not JSON: %s", number, err)
		}
		return order, number, err
	}
}

// startsList looks for the bracket that opens a list.
func startsList(r *bufio.Reader) bool {
	head, _ := r.Peek(r.Size())
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("["))
}

func sizeOf(r io.Reader) int64 {
	if file, ok := r.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return 0
}

// progress shows how far it is, on a terminal only.
type progress struct {
	to    io.Writer // nil: not a terminal
	total int64
	read  int64
	shown time.Time
}

func newProgress(to io.Writer, total int64) *progress {
	p := &progress{total: total}
	if file, ok := to.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.to = to
	}
	return p
}

// count returns r, counting what is read.
func (p *progress) count(r io.Reader) io.Reader { return &countingReader{r, p} }

type countingReader struct {
	io.Reader
	progress *progress
}

// Read implements io.Reader.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.progress.read += int64(n)
	return n, err
}

const barWidth = 30

func (p *progress) say(done, refused int) {
	if p.due() {
		bar := ""
		if p.total > 0 {
			full := int(min(p.read*barWidth/p.total, barWidth))
			bar = fmt.Sprintf("[%s%s] ", bytes.Repeat([]byte("="), full), bytes.Repeat([]byte(" "), barWidth-full))
		}
		fmt.Fprintf(p.to, "\r\x1b[K%s%d handed in, %d refused", bar, done, refused)
	}
}

func (p *progress) waiting(done, all int) {
	if p.due() {
		full := done * barWidth / max(all, 1)
		fmt.Fprintf(p.to, "\r\x1b[K[%s%s] %d of %d done",
			bytes.Repeat([]byte("="), full), bytes.Repeat([]byte(" "), barWidth-full), done, all)
	}
}

func (p *progress) due() bool {
	if p.to == nil || time.Since(p.shown) < 100*time.Millisecond {
		return false
	}
	p.shown = time.Now()
	return true
}

func (p *progress) end() {
	if p.to != nil {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
