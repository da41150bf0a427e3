package checks

import (
	"context"
	"sync"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

func cancellation() []suite.Check {
	resume := []suite.Need{suite.Resume}
	return []suite.Check{
		{
			ID: "cancel/export", Level: suite.Must, Clauses: []string{"EXP-14", "EXP-03"}, Needs: resume, Run: cancelWhileAsking,
			Title: "cancelled while it waits for the host, an export makes no visible step, and the next attempt delivers once",
		},
		{
			ID: "cancel/any-time", Level: suite.Must, Clauses: []string{"EXP-14", "EXP-07"}, Needs: resume, Run: cancelAnyTime,
			Title: "cancelled at any time, the process goes on serving, and the next attempt delivers once",
		},
		{
			ID: "cancel/target-hangs", Level: suite.Must, Clauses: []string{"EXP-14"},
			Needs: []suite.Need{suite.Resume, suite.SFTPServer}, Run: cancelWhileTargetHangs,
			Title: "cancelled while the target hangs at any step, an export does not go on when the target does",
		},
		{
			ID: "cancel/stalled-target", Level: suite.Must, Clauses: []string{"EXP-14"}, Alone: true,
			Needs: []suite.Need{suite.Network, suite.Proc}, Run: exportStops,
			Title: "an export stops at its deadline against a target that does not answer",
		},
	}
}

// stopTime is how long a connector may go on after a call was cancelled.
func stopTime(t *suite.T) time.Duration { return t.Limits().Cancel.D() + t.Limits().Slack.D() }

// wantDelivered runs the next attempt, which must make it n orders in all.
func wantDelivered(t *suite.T, what string, c *suite.Connector, e *suite.Export, n int) {
	e.OnMessage = nil
	e.Deliver(c)
	if orders := t.Orders(); len(orders) != n {
		t.Fatalf("%s: after the next attempt the target has %d orders, want %d", what, len(orders), n)
	}
}

// cancelWhileAsking cancels instead of an answer, first to the payload and then
// to the checkpoint. Without the checkpoint's answer there is no visible step.
func cancelWhileAsking(t *suite.T) {
	c := t.Start()
	delivered := 0
	for what, kind := range map[string]suite.Kind{"payload": suite.PayloadMessage, "checkpoint": suite.CheckpointMessage} {
		for _, answer := range []suite.Answer{suite.CutBefore, suite.CutAfter} {
			e := t.NewExport()
			asked := false
			e.OnMessage = func(k suite.Kind, _ int) suite.Answer {
				if k != kind || asked {
					return suite.Answer{}
				}
				asked = true
				return answer
			}
			run(t, c, e)
			t.Pause(min(stopTime(t), t.Sizes().Watch.D()))
			if orders, _ := t.Look(); asked && kind == suite.CheckpointMessage && len(orders) > delivered {
				t.Fatalf("the order of a cancelled call has appeared: it waited for the answer to its %s", what)
			}
			delivered++
			if asked {
				wantDelivered(t, "cancelled at its "+what, c, e, delivered)
			}
		}
	}
}

// cancelAnyTime spreads the moments over the time that an export takes.
func cancelAnyTime(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	whole := t.NewExport().Deliver(c).Took
	delivered := 2
	n := 2 * t.Sizes().Repeats
	for i := range n {
		e := t.NewExport()
		after := whole * time.Duration(i) / time.Duration(n)
		ctx, stop := context.WithTimeout(t.Context(), after)
		e.Run(ctx, c)
		stop()
		delivered++
		wantDelivered(t, "cancelled after "+after.Round(time.Microsecond).String(), c, e, delivered)
	}
}

// cancelWhileTargetHangs holds the target at each kind of step in turn, cancels
// the export, and lets the target go on after the connector's time is over.
func cancelWhileTargetHangs(t *suite.T) {
	server := t.Target().(target.Server).SFTP() //nolint:errcheck,forcetypeassert // the need says so
	c := t.Start()
	delivered := 0
	for _, step := range []string{"create", "write", "close", "stat", "list"} {
		e := t.NewExport()
		ctx, stop := context.WithCancel(t.Context())
		hung, goOn := hangAt(server, step, stop)
		attempt := e.Run(ctx, c)
		stop()
		delivered++
		if !hung() { // it does no such thing at the target
			goOn()
			t.WantOrders(delivered)
			continue
		}
		t.Pause(stopTime(t))
		goOn()
		t.Pause(t.Sizes().Watch.D())
		if orders, _ := t.Look(); attempt.Result.GetSuccess() || len(orders) >= delivered {
			t.Fatalf("cancelled while the target hung at a %s, it went on when the target did", step)
		}
		wantDelivered(t, "cancelled while the target hung at a "+step, c, e, delivered)
	}
}

// hangAt has the server hang at the next step of a kind until goOn is called,
// and calls then once it does.
func hangAt(server *target.SFTPServer, step string, then func()) (hung func() bool, goOn func()) {
	reached, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server.OnOperation(func(op target.Operation) error {
		if op.Name != step {
			return nil
		}
		once.Do(func() {
			close(reached)
			then()
			<-gate
		})
		return nil
	})
	hung = func() bool {
		select {
		case <-reached:
			return true
		default:
			return false
		}
	}
	return hung, func() {
		server.OnOperation(nil)
		close(gate)
	}
}

// exportStops looks at the connector's sockets, because its own client gives up
// at the deadline in any case.
func exportStops(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	before := measure(t, c.Pid)
	proxy := t.Target().(target.Network).Proxy() //nolint:errcheck,forcetypeassert // the need says so
	proxy.Blackhole(true)
	e := t.NewExport()
	ctx, stop := context.WithTimeout(t.Context(), t.Sizes().StalledCall.D())
	defer stop()
	attempt := e.Run(ctx, c)
	if attempt.Result.GetSuccess() {
		t.Errorf("it says that it has delivered to a target that does not answer")
	}
	within := stopTime(t)
	if !t.Eventually(within, func() bool { return measure(t, c.Pid).Sockets <= before.Sockets }) {
		t.Errorf("%v after the deadline it still has %d sockets open, before it had %d",
			within, measure(t, c.Pid).Sockets, before.Sockets)
	}
	proxy.Blackhole(false)
	proxy.Cut()
	wantRecovered(t, c, e)
}

// wantRecovered runs the next attempt of an export that found no target.
func wantRecovered(t *suite.T, c *suite.Connector, e *suite.Export) {
	attempt := run(t, c, e)
	for try := 1; try < 3 && attempt.Result.GetError().GetRetryable(); try++ {
		attempt = run(t, c, e) // a session of before may have died meanwhile
	}
	if attempt.Err != nil || !attempt.Result.GetSuccess() {
		t.Errorf("after the target has come back the export fails: %v, %v", attempt.Result.GetError(), attempt.Err)
	}
}
