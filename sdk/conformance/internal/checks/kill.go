package checks

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/port"
)

func kill() []suite.Check {
	resume := []suite.Need{suite.Resume}
	return []suite.Check{
		{
			ID: "kill/each-step", Level: suite.Must, Clauses: []string{"EXP-07", "CHK-04", "EXP-08", "EXP-05"}, Needs: resume, Run: killEachStep,
			Title: "killed at any step, the next attempt delivers exactly once and leaves nothing behind",
		},
		{
			ID: "kill/result-lost", Level: suite.Must, Clauses: []string{"CHK-06", "EXP-07", "EXP-08"}, Needs: resume, Run: resultLost,
			Title: "an attempt after one whose result was lost succeeds, recovered, with the same external_ref",
		},
		{
			ID: "kill/consumed", Level: suite.Must, Clauses: []string{"CHK-06", "CHK-04"}, Run: consumed,
			Needs: []suite.Need{suite.Resume, suite.Files},
			Title: "an order that the ERP has consumed meanwhile is not delivered again",
		},
		{
			ID: "kill/unreadable-checkpoint", Level: suite.Must, Clauses: []string{"CHK-05", "CHK-08"}, Needs: resume, Run: unreadableCheckpoint,
			Title: "a checkpoint that it can't read ends with OUTCOME_UNKNOWN, not with a guess",
		},
		{
			ID: "kill/another-place", Level: suite.Must, Clauses: []string{"CHK-09", "CHK-05"}, Needs: resume, Run: anotherPlace,
			Title: "a config that leads elsewhere since the checkpoint loses no order and doubles none",
		},
		{
			ID: "kill/late-attempt", Level: suite.Must, Clauses: []string{"CHK-07", "EXP-07"}, Needs: []suite.Need{suite.Fenced}, Run: lateAttempt,
			Title: "an attempt that was taken over and comes late does no harm",
		},
		{
			ID: "kill/many-attempts", Level: suite.Must, Clauses: []string{"CHK-07", "EXP-07"}, Needs: []suite.Need{suite.Fenced}, Run: manyAttempts,
			Title: "many attempts from one checkpoint, in two processes at once, deliver once",
		},
		{
			ID: "kill/target-cut", Level: suite.Must, Clauses: []string{"EXP-07", "EXP-09", "ERR-04"}, Run: targetCut,
			Needs: []suite.Need{suite.Resume, suite.Network},
			Title: "a connection that is cut at any byte costs at most an attempt",
		},
	}
}

// killEachStep kills when the connector asks the host, before and after the
// host has stored what it asks for, and a little after the answer.
func killEachStep(t *suite.T) {
	type death struct {
		at    suite.Kind
		lose  bool
		after time.Duration // 0: instead of the answer
	}
	deaths := []death{
		{at: suite.PayloadMessage, lose: true},
		{at: suite.PayloadMessage},
		{at: suite.CheckpointMessage, lose: true},
		{at: suite.CheckpointMessage},
	}
	for _, after := range []time.Duration{1, 100, 300, 700, 1500, 4000} {
		deaths = append(deaths, death{at: suite.PayloadMessage, after: after * time.Microsecond},
			death{at: suite.CheckpointMessage, after: after * time.Microsecond})
	}
	next := t.Start()
	delivered := 0
	for _, d := range deaths {
		c := next
		next = t.Start()
		e := t.NewExport()
		e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
			switch {
			case kind != d.at:
			case d.after == 0:
				c.Kill()
				return suite.Answer{Lose: d.lose, Silent: true}
			default:
				c.Ending()
				time.AfterFunc(d.after, c.Kill)
			}
			return suite.Answer{}
		}
		attempt := run(t, c, e)
		c.Kill()
		e.OnMessage = nil
		if attempt.Err != nil || !attempt.Result.GetSuccess() {
			ref := e.ExternalRef
			again := e.Deliver(next)
			if ref != "" && ref != again.Result.GetExternalRef() {
				t.Errorf("the external_ref was %q in the first attempt and is %q in the next", ref, again.Result.GetExternalRef())
			}
			if e.Payload != nil && again.Result.GetStorageKey() != "exports/acme/"+e.Payload.FileName {
				t.Errorf("the storage_key is %q in the next attempt, want that of the stored payload", again.Result.GetStorageKey())
			}
		}
		delivered++
		if orders := t.Orders(); len(orders) != delivered {
			t.Fatalf("killed at %v, lost %v, after %v: the target has %d orders, want %d", d.at, d.lose, d.after, len(orders), delivered)
		}
	}
}

// resultLost runs an export again with everything that the host knew before
// the result.
func resultLost(t *suite.T) {
	c := t.Start()
	e := t.NewExport()
	first := e.Deliver(c)
	if e.Checkpoint == nil {
		t.Skipf("it saves no checkpoint, so a host that has lost the result knows nothing of the attempt")
	}
	for i := range t.Sizes().Repeats {
		if i == 1 {
			c.Kill()
			c = t.Start()
		}
		again := e.Deliver(c)
		if !again.Result.GetRecovered() {
			t.Errorf("attempt %d finds the order delivered and does not say recovered", e.Attempt)
		}
		if again.Result.GetExternalRef() != first.Result.GetExternalRef() {
			t.Errorf("the external_ref was %q and is %q", first.Result.GetExternalRef(), again.Result.GetExternalRef())
		}
		t.WantOrders(1)
	}
}

func consumed(t *suite.T) {
	files := t.Target().(target.Files) // the need says so
	c := t.Start()
	e := t.NewExport()
	e.Deliver(c)
	if e.Checkpoint == nil {
		t.Skipf("it saves no checkpoint")
	}
	for _, order := range t.WantOrders(1) {
		if err := os.Remove(filepath.Join(files.OrdersDir(), order.Name)); err != nil {
			t.Fatalf("%v", err)
		}
	}
	again := run(t, c, e)
	if again.Err != nil || !again.Result.GetSuccess() {
		t.Errorf("it does not know that it has delivered: %v, %v", again.Result.GetError(), again.Err)
	}
	if orders := t.Orders(); len(orders) > 0 {
		t.Errorf("the order that the ERP has consumed was delivered again")
	}
}

func unreadableCheckpoint(t *suite.T) {
	c := t.Start()
	for _, checkpoint := range []string{"no checkpoint of anybody", "{}", "", "\x00\xff", `{"version":99999,"stage":"of the future"}`} {
		e := t.NewExport()
		e.Attempt, e.Checkpoint = 1, []byte(checkpoint)
		attempt := run(t, c, e)
		switch code := port.CodeOf(attempt.Result.GetError().GetCode()); {
		case attempt.Err != nil:
			t.Errorf("the checkpoint %.20q: a gRPC status instead of a result: %v", checkpoint, attempt.Err)
		case attempt.Result.GetSuccess():
			t.Errorf("the checkpoint %.20q: it says that it has delivered", checkpoint)
		case code != port.OutcomeUnknown:
			t.Errorf("the checkpoint %.20q: the code is %s, want OUTCOME_UNKNOWN", checkpoint, code)
		}
	}
	t.WantOrders(0)
}

// anotherPlace changes the config between two attempts.
func anotherPlace(t *suite.T) {
	if t.Profile.Target.Kind == profile.Script {
		t.Skipf("the target's program knows one place only")
	}
	other := t.NewTarget()
	elsewhere := t.ConfigFor(other, nil, nil)
	for _, kind := range []suite.Kind{suite.CheckpointMessage, 0} {
		c := t.Start()
		e := t.NewExport()
		e.OnMessage = func(k suite.Kind, _ int) suite.Answer {
			if k == kind {
				c.Kill()
				return suite.Answer{Silent: true}
			}
			return suite.Answer{}
		}
		run(t, c, e)
		if e.Checkpoint == nil {
			t.Skipf("it saves no checkpoint")
		}
		before := e.Count(ordersAt(t, t.Target()))
		e.OnMessage, e.Connection = nil, suite.Connection(elsewhere)
		again := run(t, t.Start(), e)
		n := e.Count(ordersAt(t, t.Target())) + e.Count(ordersAt(t, other))
		if n > 1 {
			t.Errorf("after the config has changed the order is there %d times", n)
		}
		final := again.Err == nil && !again.Result.GetSuccess() && !again.Result.GetError().GetRetryable() &&
			port.CodeOf(again.Result.GetError().GetCode()) != port.OutcomeUnknown
		if again.Result.GetSuccess() && n == 0 {
			t.Errorf("after the config has changed it says that it has delivered, and the order is nowhere")
		}
		if final && before > 0 {
			t.Errorf("after the config has changed it says that the order was not delivered, but it was: %s", again.Result.GetError().GetMessage())
		}
	}
}

func ordersAt(t *suite.T, at target.Target) []target.Artefact {
	orders, _ := t.LookAt(at)
	return orders
}

// lateAttempt has another process take the export over while the first attempt
// waits for the answer to its checkpoint, which then comes all the same.
func lateAttempt(t *suite.T) {
	c, other := t.Start(), t.Start()
	e := t.NewExport()
	taken := false
	e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
		if kind == suite.CheckpointMessage && !taken {
			taken = true
			e.Takeover().Deliver(other)
		}
		return suite.Answer{}
	}
	late := run(t, c, e)
	if !taken {
		t.Errorf("it is FENCED and delivers without a checkpoint")
	}
	if late.Err == nil && !late.Result.GetSuccess() && !late.Result.GetError().GetRetryable() {
		t.Errorf("the late attempt says finally that the order was not delivered: %s", late.Result.GetError().GetMessage())
	}
	t.WantOrders(1)
}

func manyAttempts(t *suite.T) {
	c, other := t.Start(), t.Start()
	e := t.NewExport()
	e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
		if kind == suite.CheckpointMessage {
			return suite.CutAfter
		}
		return suite.Answer{}
	}
	run(t, c, e)
	if e.Checkpoint == nil {
		t.Fatalf("it is FENCED and delivers without a checkpoint")
	}
	var group sync.WaitGroup
	for i := range 2 * t.Sizes().Repeats {
		attempt := e.Takeover()
		attempt.Attempt += uint32(i) //nolint:gosec // small
		to := []*suite.Connector{c, other}[i%2]
		group.Go(func() {
			outcome := run(t, to, attempt)
			if outcome.Err == nil && !outcome.Result.GetSuccess() && !outcome.Result.GetError().GetRetryable() {
				t.Errorf("one of many attempts ended finally: %s", outcome.Result.GetError().GetMessage())
			}
		})
	}
	group.Wait()
	t.WantOrders(1)
}

// targetCut cuts the connection after so many bytes towards the target.
func targetCut(t *suite.T) {
	proxy := t.Target().(target.Network).Proxy() // the need says so
	c := t.Start()
	delivered := 0
	for _, bytes := range []int64{1, 700, 1500, 2200, 3000, 5000, 30_000, 120_000} {
		e := t.NewExportOf(suite.OrderWithLines(300, 300), t.Connection())
		proxy.CutAfter(bytes)
		started := time.Now()
		for {
			attempt := run(t, c, e)
			if attempt.Err == nil && attempt.Result.GetSuccess() {
				break
			}
			proxy.CutAfter(-1)
			if attempt.Err == nil && !attempt.Result.GetError().GetRetryable() {
				t.Fatalf("cut after %d bytes the export ended with a final error: %s", bytes, attempt.Result.GetError().GetMessage())
			}
			if code := port.CodeOf(attempt.Result.GetError().GetCode()); attempt.Err == nil && code == port.Internal {
				t.Errorf("cut after %d bytes the code is INTERNAL: %s", bytes, attempt.Result.GetError().GetMessage())
			}
			t.Pause(50 * time.Millisecond)
			if time.Since(started) > t.Limits().Call.D() {
				t.Fatalf("cut after %d bytes it does not recover: %v, %v", bytes, attempt.Result.GetError(), attempt.Err)
			}
		}
		proxy.CutAfter(-1)
		delivered++
		orders := t.Orders()
		if len(orders) != delivered {
			t.Fatalf("cut after %d bytes: the target has %d orders, want %d", bytes, len(orders), delivered)
		}
		if !slices.ContainsFunc(orders, func(a target.Artefact) bool {
			return e.Payload == nil || a.Data == nil || string(a.Data) == string(e.Payload.Data)
		}) {
			t.Errorf("cut after %d bytes: the order is not whole", bytes)
		}
	}
}
