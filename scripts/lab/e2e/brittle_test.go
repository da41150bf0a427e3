package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/orderport/orderport/scripts/lab/world"
)

// brittle is a host with one connector of package brittle, connected to a
// directory with a patient ERP.
type brittle struct {
	in     *world.Installation
	host   *world.Host
	client *world.Client
	erp    *world.ERP
	orders *world.Orders
}

func newBrittle(ctx context.Context, t *testing.T, connectorType string) *brittle {
	t.Helper()
	b := &brittle{in: install(ctx, t, "sqlite"), orders: world.NewOrders(8)}
	buildConnector(ctx, t, b.in, "brittle", "orderport-connector-brittle", "connectorType="+connectorType)
	b.host = serve(ctx, t, b.in, "data")
	b.client = b.host.Client()
	dir := t.TempDir()
	b.erp = patient(t, dir)
	connect(ctx, t, b.client, connectorType, map[string]any{"dir": dir})
	return b
}

// TestWithoutResumeAnUnknownOutcomeWaitsForAPerson kills connector and host
// after an order has reached the ERP, where nobody can find that out.
func TestWithoutResumeAnUnknownOutcomeWaitsForAPerson(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	b := newBrittle(ctx, t, "FORGETS")
	died := pushNoted(ctx, t, b.client, b.orders, "die after the delivery")
	b.isUnknown(ctx, t, died.ID)

	hung := pushNoted(ctx, t, b.client, b.orders, "hang after the delivery")
	b.delivered(ctx, t, hung.DraftOrderID)
	b.host.Kill()
	if err := b.host.Start(ctx); err != nil {
		t.Fatal(err)
	}
	b.isUnknown(ctx, t, hung.ID)

	// Others go through, and these two are left alone.
	other := pushNoted(ctx, t, b.client, b.orders, "")
	awaitExport(ctx, t, b.client, other.ID, "SENT")
	b.isUnknown(ctx, t, died.ID)
	consumedOnce(t, b.erp, []string{died.DraftOrderID, hung.DraftOrderID, other.DraftOrderID})

	b.resolve(ctx, t, died.ID, hung.ID)
}

// isUnknown waits until an export has ended as unknown after one attempt.
func (b *brittle) isUnknown(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	export := awaitExport(ctx, t, b.client, id, "FAILED")
	if export.Error == nil || export.Error.Code != "OUTCOME_UNKNOWN" || len(export.Attempts) != 1 {
		t.Fatalf("export %s: error %+v, %d attempts; want OUTCOME_UNKNOWN after one", id, export.Error, len(export.Attempts))
	}
}

func (b *brittle) delivered(ctx context.Context, t *testing.T, order string) {
	t.Helper()
	eventually(ctx, t, "delivery", func() error {
		if b.erp.Consumed()[order] == 0 {
			return fmt.Errorf("the ERP does not have order %s", order)
		}
		return nil
	})
}

// resolve says that the ERP does not have the first export, and has the second.
func (b *brittle) resolve(ctx context.Context, t *testing.T, failed, sent string) {
	t.Helper()
	for _, id := range []string{failed, sent} {
		if out, err := b.in.CLI(ctx, "export", "retry", id); err == nil || !strings.Contains(err.Error(), "resolve") {
			t.Fatalf("retry before resolve: %s %v, want a refusal that names resolve", out, err)
		}
	}
	for _, args := range [][]string{{failed, "--failed"}, {sent, "--sent"}} {
		if _, err := b.in.CLI(ctx, "export", "resolve", args[0], args[1]); err != nil {
			t.Fatal(err)
		}
	}
	awaitExport(ctx, t, b.client, sent, "SENT")
	if _, err := b.in.CLI(ctx, "export", "resolve", sent, "--failed"); err == nil {
		t.Error("an export was resolved twice")
	}
	out, err := b.in.CLI(ctx, "export", "retry", failed, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var again world.Export
	if err := json.Unmarshal(out, &again); err != nil || again.RetryOf != failed {
		t.Fatalf("retry answered %s, want an export that repeats %s (%v)", out, failed, err)
	}
	// The order still asks for a death, so the retry ends as the first one did:
	// it was run, and that is what matters here.
	b.isUnknown(ctx, t, again.ID)

	var audit struct {
		Items []struct{ Actor, Action, Subject string }
	}
	if _, err := b.client.Call(ctx, http.MethodGet, "/api/v1/audit?"+url.Values{"limit": {"100"}}.Encode(), nil, &audit); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{failed, sent} {
		found := 0
		for _, entry := range audit.Items {
			if entry.Subject == "export:"+id && entry.Action == "export.resolve" && strings.HasPrefix(entry.Actor, "cli:") {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d audit entries for the resolution of %s, want 1: %+v", found, id, audit.Items)
		}
	}
}

// TestAnOrderThatKillsItsConnectorIsSetAside hands in two such orders in the
// middle of a hundred others.
func TestAnOrderThatKillsItsConnectorIsSetAside(t *testing.T) {
	t.Parallel()
	ctx := bounded(t)
	b := newBrittle(ctx, t, "DIES")
	notes := map[int]string{40: "die at once", 60: "die after the checkpoint"}
	want := map[string]string{} // by the order's id, the code of those that end FAILED
	var innocent []string
	var batch bytes.Buffer
	for n := range 100 {
		id, order := noted(b.orders, notes[n])
		batch.Write(append(order, '\n'))
		switch notes[n] {
		case "":
			innocent = append(innocent, id)
		case "die at once":
			want[id] = "CONNECTOR_CRASHED"
		default:
			want[id] = "OUTCOME_UNKNOWN"
		}
	}
	lines, err := b.client.PushBatch(ctx, &batch)
	if err != nil || len(lines) != 100 {
		t.Fatalf("%d answers, %v", len(lines), err)
	}
	awaitCounts(ctx, t, b.client, map[string]int{"FAILED": 2, "SENT": 98})
	consumedOnce(t, b.erp, innocent)
	for _, line := range lines {
		export, err := b.client.Export(ctx, line.Export.ID)
		if err != nil {
			t.Fatal(err)
		}
		code, guilty := want[export.DraftOrderID]
		if guilty && (export.Error == nil || export.Error.Code != code || !strings.Contains(export.Error.Message, "ended its connector")) {
			t.Errorf("a guilty order ended with %+v, want %s that names the crash", export.Error, code)
		}
		for _, a := range export.Attempts {
			if !guilty && a.Outcome != "DELIVERED" && a.Outcome != "LOST" {
				t.Errorf("attempt %d of an innocent order ended as %s, which counts as a failure", a.Number, a.Outcome)
			}
		}
	}
	if b.host.SignalConnectors(syscall.Signal(0)) == 0 {
		t.Error("there is no connector left")
	}
}
