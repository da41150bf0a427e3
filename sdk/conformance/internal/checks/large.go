package checks

import (
	"context"
	"strings"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/port"
)

func large() []suite.Check {
	return []suite.Check{
		{
			ID: "large/messages", Level: suite.Must, Clauses: []string{"SVC-04"}, Run: largeMessages,
			Title: "it accepts messages of nearly 32 MiB",
		},
		{
			ID: "large/payload", Level: suite.Must, Clauses: []string{"PAY-01", "PAY-03", "EXP-13"}, Run: largePayload,
			Title: "an order of more than 4 MiB is delivered, in chunks of at most 1 MiB",
		},
		{
			ID: "large/beyond-limit", Level: suite.Must, Clauses: []string{"DSC-06"}, Needs: []suite.Need{suite.MaxPayload},
			Run:   beyondLimit,
			Title: "a payload larger than max_payload_bytes ends with an error and without a trace",
		},
		{
			ID: "large/lines", Level: suite.Must, Clauses: []string{"LIM-03"}, Needs: []suite.Need{suite.Proc}, Alone: true,
			Run:   manyLines,
			Title: "an order of 10,000 lines is delivered in time and in bounded memory",
		},
	}
}

// largeMessages sends a config that is wrong by its size alone: whatever the
// connector makes of it, it has understood the message.
func largeMessages(t *suite.T) {
	c := t.Start()
	ctx, cancel := t.Call()
	defer cancel()
	config := t.Config(map[string]any{"conformance_unknown_field": strings.Repeat("x", port.MaxMessage-1<<20)})
	r, err := c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: suite.Connection(config)})
	if err != nil {
		t.Fatalf("a message of 31 MiB: %v", err)
	}
	if r.GetSuccess() {
		t.Errorf("a config of 31 MiB with an unknown field works")
	}
}

// mostPayload is what the connector says that it can deliver.
func mostPayload(t *suite.T) int {
	if most := t.Description.GetLimits().GetMaxPayloadBytes(); most > 0 && most < port.MaxMessage {
		return int(most) //nolint:gosec // less than 32 MiB
	}
	return port.MaxMessage
}

func largePayload(t *suite.T) {
	if mostPayload(t) < 6<<20 {
		t.Skipf("the connector delivers %d bytes at most", mostPayload(t))
	}
	needsOneOf(t, "lines[].description")
	c := t.Start()
	e := t.NewExportOf(suite.OrderWithLines(5, 1<<20), t.Connection())
	attempt := e.Deliver(c)
	orders := t.WantOrders(1)
	if len(orders) != 1 || orders[0].Data == nil {
		return
	}
	// An ERP may break a text into lines of its own.
	if strings.Count(string(orders[0].Data), "x") < 5<<20 {
		t.Errorf("the order's long text (lines[].description) did not arrive")
	}
	if len(attempt.Payloads) > 0 && string(attempt.Payloads[len(attempt.Payloads)-1].Data) != string(orders[0].Data) {
		t.Errorf("the payload that was stored (%d bytes) is not what arrived (%d bytes)",
			len(attempt.Payloads[len(attempt.Payloads)-1].Data), len(orders[0].Data))
	}
}

// beyondLimit hands over the largest order that a message can carry, of
// characters that most formats write as two or more.
func beyondLimit(t *suite.T) {
	c := t.Start()
	most := mostPayload(t)
	text := strings.Repeat(`"`, 1<<20)
	order := suite.OrderWithLines(min(most>>20+1, 30), 0)
	for _, line := range order.GetLines() {
		line.Description = &text
	}
	e := t.NewExportOf(order, t.Connection())
	started := time.Now()
	attempt := run(t, c, e)
	t.Within("the export", started, t.Limits().Call.D())
	if attempt.Err != nil {
		t.Fatalf("a gRPC status instead of a result: %v", attempt.Err)
	}
	if attempt.Result.GetSuccess() {
		for _, order := range t.WantOrders(1) {
			if len(order.Data) > most {
				t.Errorf("it delivered %d bytes and says that it can deliver %d", len(order.Data), most)
			}
		}
		t.Notef("no order that fits into a message exceeds the limit of %d bytes", most)
		return
	}
	if attempt.Result.GetError().GetRetryable() {
		t.Errorf("the error says that the same order may be delivered later: %s", attempt.Result.GetError().GetMessage())
	}
	t.WantOrders(0)
	t.NewExport().Deliver(c)
	t.WantOrders(1)
}

func manyLines(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	before := measure(t, c.Pid)
	e := t.NewExportOf(suite.OrderWithLines(t.Sizes().Lines, 100), t.Connection())
	ctx, cancel := context.WithTimeout(t.Context(), t.Limits().Call.D())
	defer cancel()
	peak := watchMemory(ctx, c.Pid)
	attempt := e.Deliver(c)
	t.Within("the export", time.Now().Add(-attempt.Took), t.Limits().Call.D()/2)
	t.WantOrders(2)
	cancel()
	size := 0
	for _, p := range attempt.Payloads {
		size = max(size, len(p.Data))
	}
	size = max(size, t.Sizes().Lines*150)
	// A parsed order, its document, chunks, and garbage of all of them.
	grown, allowed := <-peak-before.Resident, int64(24*size+48<<20)
	t.Notef("memory grew by %d KiB for a payload of %d KiB", grown>>10, size>>10)
	if grown > allowed {
		t.Errorf("memory grew by %d bytes for a payload of %d bytes, more than %d", grown, size, allowed)
	}
}

// watchMemory returns the most memory that a process has held until the
// context ends.
func watchMemory(ctx context.Context, pid int) <-chan int64 {
	result := make(chan int64, 1)
	go func() {
		most := int64(0)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			if usage, err := procfs.Measure(pid); err == nil {
				most = max(most, usage.Resident)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				result <- most
				return
			}
		}
	}()
	return result
}
