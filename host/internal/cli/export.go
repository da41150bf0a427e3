package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/view"
)

type exportCommands struct {
	List    exportList    `cmd:"" help:"List exports, from new to old."`
	Show    exportShow    `cmd:"" help:"Show an export and its attempts."`
	Retry   exportRetry   `cmd:"" help:"Make a new export for the order of a failed one."`
	Resolve exportResolve `cmd:"" help:"Say what became of an export whose outcome is unknown. Look in the ERP first."`
	Payload exportPayload `cmd:"" help:"Print the exact bytes of an export."`
}

type exportList struct {
	Org        string `help:"Organization, by slug. Default: the only one." placeholder:"SLUG"`
	Status     string `enum:"PENDING,SENT,ACKED,FAILED," default:"" help:"Only exports with this status: PENDING, SENT, ACKED or FAILED." placeholder:"STATUS"`
	DraftOrder string `help:"Only exports of this draft order." placeholder:"ID"`
	Connection string `help:"Only exports over this connection." placeholder:"ID"`
	Since      string `help:"Only exports created since: an RFC 3339 instant, or a duration such as 24h." placeholder:"WHEN"`
	Limit      int    `default:"50" help:"At most this many, 1 to 500."`
	Cursor     string `help:"next_cursor of the last page."`
}

func (c *exportList) filter() (store.ExportFilter, error) {
	f := store.ExportFilter{Status: domain.ExportStatus(c.Status)}
	var err error
	if c.DraftOrder != "" {
		if f.DraftOrderID, err = parseID(c.DraftOrder); err != nil {
			return f, err
		}
	}
	if c.Connection != "" {
		if f.ConnectionID, err = parseID(c.Connection); err != nil {
			return f, err
		}
	}
	if c.Since != "" {
		if ago, err := time.ParseDuration(c.Since); err == nil {
			f.Since = time.Now().Add(-ago)
		} else if f.Since, err = time.Parse(time.RFC3339, c.Since); err != nil {
			return f, usage("--since %q is neither an instant such as 2026-01-31T09:00:00Z nor a duration such as 24h", c.Since)
		}
	}
	return f, nil
}

// Run lists the exports.
func (c *exportList) Run(s *session) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	o, err := s.office(wants{})
	if err != nil {
		return err
	}
	org, err := s.organization(o, c.Org)
	if err != nil {
		return err
	}
	exports, next, err := o.Exports.List(s.ctx, s.operator(org.ID), filter, store.Page{Limit: c.Limit, Cursor: c.Cursor})
	if err != nil {
		return err
	}
	err = showList(s.out, view.NewList(exports, next, view.NewExport),
		[]string{"ID", "ORDER", "STATUS", "TYPE", "CREATED", "TRIES", "RESULT"}, exportRow)
	if next != "" && err == nil {
		s.note("more with --cursor %s", next)
	}
	return err
}

func exportRow(v view.Export) []string {
	order := or(v.ExternalOrderNumber)
	if order == "-" {
		order = v.DraftOrderID
	}
	return []string{v.ID, order, v.Status, v.ConnectorType, v.CreatedAt, strconv.Itoa(v.AttemptCount), resultOf(v)}
}

// resultOf says in one cell what there is to know of an export.
func resultOf(v view.Export) string {
	switch {
	case v.Error != nil && v.Status != "SENT" && v.Status != "ACKED":
		return v.Error.Code + ": " + v.Error.Message
	case v.ERPOrderID != nil:
		return *v.ERPOrderID
	case v.DropzonePath != nil:
		return *v.DropzonePath
	default:
		return or(v.ExternalRef)
	}
}

// exportRef names an export.
type exportRef struct {
	ID  string `arg:"" help:"Id of the export."`
	Org string `help:"Organization, by slug. Default: the one that has the export." placeholder:"SLUG"`
}

func (r *exportRef) open(s *session, want wants) (*office, app.Actor, uuid.UUID, error) {
	id, err := parseID(r.ID)
	if err != nil {
		return nil, app.Actor{}, id, err
	}
	o, err := s.office(want)
	if err != nil {
		return nil, app.Actor{}, id, err
	}
	actor, err := s.owner(o, r.Org, func(actor app.Actor) error {
		_, err := o.db.Export(s.ctx, actor.OrgID, id)
		return err
	})
	return o, actor, id, err
}

type exportShow struct{ exportRef }

// Run shows the export.
func (c *exportShow) Run(s *session) error {
	o, actor, id, err := c.open(s, wants{})
	if err != nil {
		return err
	}
	detail, err := o.Exports.Get(s.ctx, actor, id)
	if err != nil {
		return err
	}
	shown := view.NewExportWithAttempts(detail.Export, detail.Attempts, detail.WaitsFor)
	return s.out.show(shown, func(w io.Writer) { printExport(w, shown) })
}

func printExport(w io.Writer, v view.ExportWithAttempts) {
	failure := ""
	if v.Error != nil {
		failure = v.Error.Code + ": " + v.Error.Message
	}
	facts(w, [][2]string{
		{"id", v.ID},
		{"status", v.Status},
		{"waits for", or(v.WaitsFor)},
		{"error", failure},
		{"next attempt", or(v.NextAttemptAt)},
		{"order", v.DraftOrderID},
		{"order number", or(v.ExternalOrderNumber)},
		{"ERP order", or(v.ERPOrderID)},
		{"connection", v.ConnectionID},
		{"type", v.ConnectorType},
		{"dropzone path", or(v.DropzonePath)},
		{"external ref", or(v.ExternalRef)},
		{"payload", or(v.StorageKey)},
		{"retry of", or(v.RetryOf)},
		{"created", v.CreatedAt},
		{"sent", or(v.SentAt)},
		{"acked", or(v.AckedAt)},
	}...)
	if len(v.Attempts) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(w, "ATTEMPT", "STARTED", "FINISHED", "HOST", "OUTCOME", "ERROR")
	for _, a := range v.Attempts {
		why := ""
		if a.Error != nil {
			why = a.Error.Code + ": " + a.Error.Message
		}
		outcome := a.Outcome
		if a.Recovered {
			outcome += " (recovered)"
		}
		t.row(strconv.Itoa(a.Number), a.StartedAt, or(a.FinishedAt), a.Host, outcome, why)
	}
	_ = t.flush()
}

type exportRetry struct{ exportRef }

// Run retries the export.
func (c *exportRetry) Run(s *session) error {
	o, actor, id, err := c.open(s, wants{})
	if err != nil {
		return err
	}
	made, err := o.Exports.Retry(s.ctx, actor, id)
	if err != nil {
		return err
	}
	return s.out.show(view.NewExport(made), func(w io.Writer) { fmt.Fprintf(w, "export %s repeats %s\n", made.ID, id) })
}

type exportResolve struct {
	exportRef
	Sent   bool `xor:"outcome" required:"" help:"The ERP has the order."`
	Failed bool `xor:"outcome" required:"" help:"The ERP does not have the order; it can then be retried."`
}

// Run resolves the export.
func (c *exportResolve) Run(s *session) error {
	o, actor, id, err := c.open(s, wants{})
	if err != nil {
		return err
	}
	export, err := o.Exports.Resolve(s.ctx, actor, id, c.Sent)
	if err != nil {
		return err
	}
	return s.out.show(view.NewExport(export), func(w io.Writer) { fmt.Fprintf(w, "export %s is %s\n", export.ID, export.Status) })
}

type exportPayload struct {
	exportRef
	Output string `short:"o" help:"Write to this file. Default: standard output." placeholder:"FILE"`
}

// Run prints the payload.
func (c *exportPayload) Run(s *session) error {
	o, actor, id, err := c.open(s, wants{payloads: true})
	if err != nil {
		return err
	}
	found, err := o.Exports.OpenPayload(s.ctx, actor, id)
	if err != nil {
		return err
	}
	defer func() { _ = found.Body.Close() }()
	if c.Output == "" || c.Output == "-" {
		_, err = io.Copy(s.env.Stdout, found.Body)
		return err
	}
	file, err := os.Create(c.Output)
	if err != nil {
		return fmt.Errorf("write payload: %w", err)
	}
	if _, err := io.Copy(file, found.Body); err != nil {
		_ = file.Close()
		return fmt.Errorf("write payload: %w", err)
	}
	return file.Close()
}
