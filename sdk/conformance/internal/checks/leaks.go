package checks

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

func leaks() []suite.Check {
	return []suite.Check{
		{
			ID: "leaks/calls", Level: suite.Must, Clauses: []string{"LIM-01"}, Needs: []suite.Need{suite.Proc}, Alone: true,
			Run:   leaksOverCalls,
			Title: "descriptors, threads, memory and sessions stay where they are over many calls, failed ones too",
		},
		{
			ID: "leaks/silent-target", Level: suite.Must, Clauses: []string{"LIM-01", "TST-05"}, Alone: true,
			Needs: []suite.Need{suite.Proc, suite.Network}, Run: leaksOverSilence,
			Title: "many tests against a target that does not answer leave no sockets",
		},
		{
			ID: "leaks/idle", Level: suite.Must, Clauses: []string{"LIM-02"}, Needs: []suite.Need{suite.Proc}, Alone: true,
			Run:   idle,
			Title: "idle, it uses no processor time to speak of",
		},
		{
			ID: "logs/lines", Level: suite.Must, Clauses: []string{"LOG-01"}, Run: logLines,
			Title: "no log line is longer than 64 KiB, whatever is in the order or the config",
		},
		{
			ID: "logs/form", Level: suite.Should, Clauses: []string{"LOG-02"}, Run: logForm,
			Title: "log lines are JSON objects with level, message and timestamp",
		},
		{
			ID: "logs/export-id", Level: suite.Should, Clauses: []string{"LOG-03"}, Run: logExportID,
			Title: "lines about an export carry its id",
		},
		{
			ID: "logs/volume", Level: suite.Should, Clauses: []string{"LOG-04"}, Run: logVolume,
			Title: "it logs no more than 64 KiB for an export",
		},
	}
}

// mixedCalls makes n good exports, n that fail and n tests.
func mixedCalls(t *suite.T, c *suite.Connector, n int) {
	config := t.Config(nil)
	wrong := invalidConfig(t)
	connection := suite.Connection(config)
	var failing []byte
	for _, failure := range cases(t) {
		if failure.Break == nil && !failure.Silent && !failure.Login && !sameConfig(t, failure) {
			failing = t.ConfigFor(t.Target(), failure.Vars, nil)
			break
		}
	}
	for range n {
		t.NewExportOf(suite.SampleOrder(), connection).Deliver(c)
		run(t, c, t.NewExportOf(suite.SampleOrder(), suite.Connection(wrong)))
		if failing != nil {
			run(t, c, t.NewExportOf(suite.SampleOrder(), suite.Connection(failing)))
		}
		cut := t.NewExportOf(suite.SampleOrder(), connection)
		cut.OnMessage = func(suite.Kind, int) suite.Answer { return suite.CutBefore }
		run(t, c, cut)
		c.TestConnection(config)
		_, _ = fetch(t, c, connection)
	}
}

func leaksOverCalls(t *suite.T) {
	c := t.Start()
	n := t.Sizes().Leaks
	mixedCalls(t, c, max(5, n/3)) // until caches and pools are filled
	t.Pause(100 * time.Millisecond)
	before := measure(t, c.Pid)
	sessions := sessionsAt(t)
	mixedCalls(t, c, n)
	wantReturned(t, c, before, n)
	if now := sessionsAt(t); now > sessions+2 {
		t.Errorf("the target had %d sessions open, and %d after %d more calls", sessions, now, 5*n)
	}
}

func sessionsAt(t *suite.T) int {
	if server, ok := t.Target().(target.Server); ok {
		return server.SFTP().Open()
	}
	return 0
}

// wantReturned waits a little for resources to come back. What stays must be
// less than one for every other call.
func wantReturned(t *suite.T, c *suite.Connector, before procfs.Usage, n int) {
	allowed := procfs.Usage{
		Descriptors: before.Descriptors + max(4, n/10), Sockets: before.Sockets + max(3, n/10),
		Threads: before.Threads + max(6, n/10), Resident: before.Resident + before.Resident/2 + 24<<20,
	}
	var now procfs.Usage
	back := t.Eventually(5*time.Second, func() bool {
		now = measure(t, c.Pid)
		return now.Descriptors <= allowed.Descriptors && now.Sockets <= allowed.Sockets &&
			now.Threads <= allowed.Threads && now.Resident <= allowed.Resident
	})
	t.Notef("before and after %d rounds of calls: descriptors %d → %d, threads %d → %d, memory %d → %d KiB",
		n, before.Descriptors, now.Descriptors, before.Threads, now.Threads, before.Resident>>10, now.Resident>>10)
	if back {
		return
	}
	for what, grown := range map[string]bool{
		"descriptors": now.Descriptors > allowed.Descriptors, "sockets": now.Sockets > allowed.Sockets,
		"threads": now.Threads > allowed.Threads, "memory": now.Resident > allowed.Resident,
	} {
		if grown {
			t.Errorf("over %d rounds of calls, %s grew: from %+v to %+v", n, what, before, now)
		}
	}
}

func leaksOverSilence(t *suite.T) {
	c := t.Start()
	c.TestConnection(t.Config(nil))
	before := measure(t, c.Pid)
	proxy := t.Target().(target.Network).Proxy() // the need says so
	proxy.Blackhole(true)
	defer proxy.Blackhole(false)
	n := max(10, t.Sizes().Leaks/2)
	config := t.Config(nil)
	for range (n + 9) / 10 {
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), t.Sizes().StalledCall.D()/2)
				defer cancel()
				_, _ = c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: suite.Connection(config)})
			})
		}
		group.Wait()
	}
	limit := t.Limits().Cancel.D() + t.Limits().Slack.D()
	if !t.Eventually(limit, func() bool { return measure(t, c.Pid).Sockets <= before.Sockets+1 }) {
		t.Errorf("after %d tests against a silent target it holds %d sockets, before it held %d",
			n, measure(t, c.Pid).Sockets, before.Sockets)
	}
}

func idle(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	t.Pause(100 * time.Millisecond)
	before := measure(t, c.Pid)
	t.Pause(t.Sizes().IdleFor.D())
	used := measure(t, c.Pid).Processor - before.Processor
	// Processor time is counted in steps of 10 ms.
	if allowed := t.Sizes().IdleFor.D()/50 + 40*time.Millisecond; used > allowed {
		t.Errorf("idle for %v it used %v of processor time, more than %v", t.Sizes().IdleFor, used, allowed)
	}
}

const longestLine = 64 << 10

func logLines(t *suite.T) {
	c := t.Start()
	c.TestConnection(t.Config(nil))
	c.TestConnection(t.Config(map[string]any{strings.Repeat("unknown_field_", 20<<10): true}))
	c.TestConnection([]byte(strings.Repeat("[", 1<<20)))
	order := suite.OrderWithLines(1, 1<<20)
	order.Notes = suite.Ptr(strings.Repeat("note ", 100<<10))
	run(t, c, t.NewExportOf(order, t.Connection()))
	unfit := suite.SampleOrder()
	unfit.Lines[0].Qty = strings.Repeat("9", 1<<20)
	unfit.Currency = strings.Repeat("E", 1<<20)
	run(t, c, t.NewExportOf(unfit, t.Connection()))
	stop(t, c)
	for line := range bytes.Lines(c.Stderr.Bytes()) {
		if len(line) > longestLine {
			t.Errorf("a log line has %d bytes, more than %d: %.100q…", len(line), longestLine, line)
		}
	}
}

func logForm(t *suite.T) {
	c := t.Start()
	exercise(t, c)
	stop(t, c)
	for line := range bytes.Lines(c.Stderr.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Errorf("no JSON object: %.200q", line)
			continue
		}
		for _, key := range []string{"@level", "@message", "@timestamp"} {
			if _, ok := fields[key].(string); !ok {
				t.Errorf("%s is no string in %.200q", key, line)
			}
		}
		if text, _ := fields["@timestamp"].(string); text != "" {
			if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
				t.Errorf("the timestamp %q is not as RFC 3339 has it", text)
			}
		}
	}
}

// logExportID makes an export fail and one succeed. A connector that logs
// nothing at all about them has nothing to mark.
func logExportID(t *suite.T) {
	c := t.Start()
	quiet := c.Stderr.Total()
	e := t.NewExport()
	e.Deliver(c)
	t.Pause(t.Sizes().Watch.D() / 2)
	about := c.Stderr.Bytes()[quiet:]
	if len(bytes.TrimSpace(about)) > 0 && !slices.ContainsFunc(bytes.Split(about, []byte("\n")), carries(e.ID)) {
		t.Errorf("it logs during an export, but no line has its export_id: %.300s", about)
	}
}

// carries reads a line as JSON, for its author may space it as they like.
func carries(id string) func(line []byte) bool {
	return func(line []byte) bool {
		var fields struct {
			ID string `json:"export_id"`
		}
		return json.Unmarshal(line, &fields) == nil && fields.ID == id
	}
}

func logVolume(t *suite.T) {
	c := t.Start()
	before := c.Stderr.Total()
	n := t.Sizes().Repeats
	for range n {
		t.NewExport().Deliver(c)
	}
	if each := (c.Stderr.Total() - before) / int64(n); each > longestLine {
		t.Errorf("it logs %d bytes for each export", each)
	}
}
