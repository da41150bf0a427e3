package checks

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

func export() []suite.Check {
	files := []suite.Need{suite.Files}
	return []suite.Check{
		{
			ID: "export/delivers", Level: suite.Must, Run: delivers,
			Clauses: []string{"EXP-02", "EXP-05", "EXP-06", "PAY-02", "PAY-03"},
			Title:   "one order becomes one order at the target, there when the result comes, as it was stored",
		},
		{
			ID: "export/waits", Level: suite.Must, Clauses: []string{"EXP-03", "CHK-07"}, Run: waits,
			Title: "after a checkpoint nothing happens until the host has answered",
		},
		{
			ID: "export/refused", Level: suite.Must, Clauses: []string{"EXP-04"}, Run: refusals,
			Title: "what the host refuses to store is not delivered, and the next attempt delivers once",
		},
		{
			ID: "export/atomic", Level: suite.Must, Clauses: []string{"EXP-09"}, Needs: files, Run: atomic,
			Title: "a reader that looks all the time never sees an unfinished order",
		},
		{
			ID: "export/neighbours", Level: suite.Must, Clauses: []string{"EXP-10"}, Run: neighbours,
			Title: "what belongs to others is not touched",
		},
		{
			ID: "export/foreign", Level: suite.Must, Clauses: []string{"EXP-10", "ERR-02"}, Needs: files, Run: foreignInTheWay,
			Title: "a foreign thing in the order's way is a CONFLICT and stays as it is",
		},
		{
			ID: "export/values", Level: suite.Must, Clauses: []string{"EXP-11"}, Needs: files, Run: injection,
			Title: "values of the order name no other file",
		},
		{
			ID: "export/failures", Level: suite.Must, Clauses: []string{"ERR-01", "ERR-03", "ERR-04"}, Run: exportFails,
			Title: "each fault of the target is a result with its own code, retryable, and without a trace",
		},
	}
}

// wantOnce fails unless the target has an export's order exactly once.
func wantOnce(t *suite.T, e *suite.Export) {
	if n := e.Count(t.Orders()); n != 1 {
		t.Errorf("the target has the order %d times, want once", n)
	}
}

func delivers(t *suite.T) {
	c := t.Start()
	e := t.NewExport()
	attempt := e.Deliver(c)
	orders := t.WantOrders(1)
	result := attempt.Result
	if result.GetRecovered() && e.Attempt == 1 {
		t.Errorf("a first attempt says that it has recovered")
	}
	if len(result.GetMetadata()) > 64 {
		t.Errorf("the result has %d entries of metadata, more than 64", len(result.GetMetadata()))
	}
	if len(attempt.Payloads) == 0 {
		if result.GetStorageKey() != "" {
			t.Errorf("the storage_key is %q, but nothing was stored", result.GetStorageKey())
		}
		return
	}
	stored := attempt.Payloads[len(attempt.Payloads)-1]
	if want := "exports/acme/" + stored.FileName; result.GetStorageKey() != want {
		t.Errorf("the storage_key is %q, the host said %q", result.GetStorageKey(), want)
	}
	if len(orders) == 1 && orders[0].Data != nil && !bytes.Equal(orders[0].Data, stored.Data) {
		t.Errorf("the payload that was stored (%d bytes) is not what arrived (%d bytes)", len(stored.Data), len(orders[0].Data))
	}
}

// waits lets the host think for a while about each checkpoint.
func waits(t *suite.T) {
	c := t.Start()
	e := t.NewExport()
	asked := 0
	e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
		if kind == suite.CheckpointMessage {
			asked++
			t.Pause(t.Sizes().Watch.D())
			if orders, _ := t.Look(); len(orders) > 0 {
				t.Errorf("the order is visible before its checkpoint is saved")
			}
		}
		return suite.Answer{}
	}
	e.Deliver(c)
	t.WantOrders(1)
	if asked == 0 && slices.Contains(t.Description.GetCapabilities(), connectorv1.Capability_CAPABILITY_FENCED) {
		t.Errorf("it is FENCED and delivers without a checkpoint")
	}
}

func refusals(t *suite.T) {
	reasons := []connectorv1.RefusalReason{
		connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED, connectorv1.RefusalReason_REFUSAL_REASON_STORAGE,
		connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE, connectorv1.RefusalReason_REFUSAL_REASON_INVALID,
	}
	c := t.Start()
	delivered := 0
	for _, what := range []suite.Kind{suite.PayloadMessage, suite.CheckpointMessage} {
		for _, reason := range reasons {
			e := t.NewExport()
			refused := false
			e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
				if kind != what {
					return suite.Answer{}
				}
				refused = true
				return suite.Answer{Lose: true, Refuse: reason}
			}
			attempt := run(t, c, e)
			if !refused {
				continue
			}
			wantRefused(t, reason, attempt)
			if orders, _ := t.Look(); len(orders) != delivered {
				t.Fatalf("after %s the order is visible", reason)
			}
			e.OnMessage = nil
			e.Deliver(c)
			delivered++
			if orders := t.Orders(); len(orders) != delivered {
				t.Fatalf("after %s and another attempt the target has %d orders, want %d", reason, len(orders), delivered)
			}
		}
	}
	if delivered == 0 {
		t.Notef("it asks the host to store nothing")
	}
}

func wantRefused(t *suite.T, reason connectorv1.RefusalReason, attempt *suite.Attempt) {
	switch {
	case attempt.Err != nil:
		t.Errorf("after %s: a gRPC status instead of a result: %v", reason, attempt.Err)
	case attempt.Result.GetSuccess():
		t.Errorf("after %s it says that it has delivered", reason)
	case reason == connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED, reason == connectorv1.RefusalReason_REFUSAL_REASON_STORAGE:
		if !attempt.Result.GetError().GetRetryable() {
			t.Errorf("after %s the error is final: %s", reason, attempt.Result.GetError().GetMessage())
		}
	}
}

// atomic looks at the orders' directory as fast as it can while a large order
// is delivered.
func atomic(t *suite.T) {
	files := t.Target().(target.Files) // the need says so
	c := t.Start()
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan map[string][][]byte, 1)
	go func() { seen <- watchOrders(ctx, t, files.OrdersDir()) }()
	for range 3 {
		t.NewExportOf(suite.OrderWithLines(2000, 500), t.Connection()).Deliver(c)
	}
	cancel()
	contents := <-seen
	for _, order := range t.WantOrders(3) {
		for _, content := range contents[order.Name] {
			if !bytes.Equal(content, order.Data) {
				t.Errorf("%q was seen with %d of its %d bytes", order.Name, len(content), len(order.Data))
			}
		}
	}
}

// watchOrders returns every content that each order had, until it is told to
// stop.
func watchOrders(ctx context.Context, t *suite.T, dir string) map[string][][]byte {
	seen := map[string][][]byte{}
	for ctx.Err() == nil {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			if match, _ := filepath.Match(orPattern(t.Profile.Target.Orders), entry.Name()); !match {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // our own directory
			before := seen[entry.Name()]
			if err == nil && (len(before) == 0 || !bytes.Equal(before[len(before)-1], data)) {
				seen[entry.Name()] = append(before, data)
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	return seen
}

func orPattern(pattern string) string {
	if pattern == "" {
		return "*"
	}
	return pattern
}

func neighbours(t *suite.T) {
	for _, name := range []string{"foreign.json", "foreign.json.tmp", ".foreign", "zz_foreign.1.tmp"} {
		if err := t.Target().Plant(t.Context(), name, []byte("foreign "+name)); err != nil {
			t.Fatalf("plant: %v", err)
		}
	}
	before := everything(t)
	c := t.Start()
	c.TestConnection(t.Config(nil))
	t.NewExport().Deliver(c)
	cut := t.NewExport()
	cut.OnMessage = func(suite.Kind, int) suite.Answer { return suite.CutBefore }
	run(t, c, cut)
	cut.OnMessage = nil
	cut.Deliver(c)
	after := everything(t)
	for _, artefact := range before {
		i := slices.IndexFunc(after, func(a target.Artefact) bool { return a.Name == artefact.Name })
		if i < 0 || !bytes.Equal(after[i].Data, artefact.Data) {
			t.Errorf("the foreign %q was changed or has gone", artefact.Name)
		}
	}
	if len(after) != len(before)+2 {
		t.Errorf("beside %d foreign things there are %d more, want 2 orders", len(before), len(after)-len(before))
	}
}

// foreignInTheWay finds out what an order is called, and then puts something
// else there before the same export begins anew.
func foreignInTheWay(t *suite.T) {
	files := t.Target().(target.Files) // the need says so
	c := t.Start()
	e := t.NewExport()
	e.Deliver(c)
	orders := t.WantOrders(1)
	if len(orders) != 1 {
		return
	}
	file := filepath.Join(files.OrdersDir(), orders[0].Name)
	foreign := []byte("this is somebody else's")
	if err := os.WriteFile(file, foreign, 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	again := *e
	again.Attempt, again.Checkpoint, again.Payload, again.Offered = 0, nil, nil, nil
	attempt := run(t, c, &again)
	if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, foreign) { //nolint:gosec // our own directory
		t.Errorf("the foreign file was replaced or has gone")
	}
	switch {
	case attempt.Err != nil:
		t.Errorf("a gRPC status instead of a result: %v", attempt.Err)
	case attempt.Result.GetSuccess():
		t.Errorf("it says that it has delivered, though a foreign file has the order's name")
	case port.CodeOf(attempt.Result.GetError().GetCode()) != port.Conflict:
		t.Errorf("the code is %s, want CONFLICT", port.CodeOf(attempt.Result.GetError().GetCode()))
	}
}

// injection delivers orders whose values look like paths, commands and more.
func injection(t *suite.T) {
	c := t.Start()
	delivered := 0
	for _, value := range []string{
		"../../escaped", "/tmp/escaped", "a/b", "..", "-rf", "with\nline break", "nul\x00byte", "CON", "a'; DROP TABLE orders;--",
		"$(touch escaped)", "`touch escaped`", "%2e%2e%2f", strings.Repeat("x", 5000),
	} {
		order := suite.SampleOrder()
		order.ExternalOrderNumber, order.Customer.ErpCustomerNumber = &value, &value
		order.Customer.Id, order.SourceDocument.FileName = &value, &value
		order.Lines[0].InternalSku = value
		badID := suite.SampleOrder()
		badID.Id = value
		for _, o := range []*connectorv1.DraftOrder{order, badID} {
			attempt := run(t, c, t.NewExportOf(o, t.Connection()))
			if attempt.Err == nil && attempt.Result.GetSuccess() {
				delivered++
			}
		}
		orders := t.Orders()
		if len(orders) != delivered {
			t.Fatalf("after an order with %.30q the target has %d orders, %d are said to be delivered", value, len(orders), delivered)
		}
		for _, artefact := range orders {
			if strings.Contains(artefact.Name, "/") {
				t.Errorf("an order with %.30q ended up in %q", value, artefact.Name)
			}
		}
	}
	if _, err := os.Stat("/tmp/escaped"); err == nil {
		t.Errorf("an order's value made the file /tmp/escaped")
		_ = os.Remove("/tmp/escaped")
	}
}

func exportFails(t *suite.T) {
	c := t.Start()
	for _, failure := range cases(t) {
		if failure.Silent || sameConfig(t, failure) {
			continue
		}
		config, mend := broken(t, failure)
		e := t.NewExportOf(suite.SampleOrder(), suite.Connection(config))
		attempt := run(t, c, e)
		mend()
		switch code := port.CodeOf(attempt.Result.GetError().GetCode()); {
		case attempt.Err != nil:
			t.Errorf("%s: a gRPC status instead of a result: %v", failure.Name, attempt.Err)
		case attempt.Result.GetSuccess():
			t.Errorf("%s: it says that it has delivered", failure.Name)
		case !slices.Contains(failure.Codes, code):
			t.Errorf("%s: the code is %s, want one of %v (%s)", failure.Name, code, failure.Codes, attempt.Result.GetError().GetMessage())
		case code != port.InvalidConfig && code != port.Conflict && !attempt.Result.GetError().GetRetryable():
			t.Errorf("%s: the error is final, though nobody need change the order", failure.Name)
		}
		if orders, _ := t.Look(); len(orders) > 0 {
			t.Errorf("%s: an order is visible", failure.Name)
		}
	}
	t.NewExport().Deliver(c)
	t.WantOrders(1)
}
