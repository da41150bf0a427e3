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

// cancelWhileAsking cancels instead of an answer: to the payload, and to the
// checkpoint, without whose answer there is no visible step.
func cancelWhileAsking(t *suite.T) {
	c := t.Start()
	var exports []*suite.Export
	for _, kind := range []suite.Kind{suite.PayloadMessage, suite.CheckpointMessage} {
		for _, answer := range []suite.Answer{suite.CutBefore, suite.CutAfter} {
			e := t.NewExport()
			asked := false
			e.OnMessage = func(k suite.Kind, _ int) suite.Answer {
				if k != kind {
					return suite.Answer{}
				}
				asked = true
				return answer
			}
			if run(t, c, e); asked {
				exports = append(exports, e)
			} else {
				t.Notef("it never asks the host to store anything of kind %d", kind)
			}
		}
	}
	before, _ := t.Look()
	t.Pause(stopTime(t))
	if after, _ := t.Look(); len(after) != len(before) {
		t.Fatalf("the order of a cancelled call has appeared, more than %v after its end", t.Limits().Cancel)
	}
	wantRetried(t, c, exports)
}

// wantRetried runs the next attempt of each export, after which all are there.
func wantRetried(t *suite.T, c *suite.Connector, exports []*suite.Export) {
	before, _ := t.Look()
	for _, e := range exports {
		e.OnMessage = nil
		e.Deliver(c)
	}
	orders := t.WantOrders(len(before) + len(exports))
	for _, e := range exports {
		if n := e.Count(orders); e.Payload != nil && n != 1 {
			t.Errorf("after the next attempt the target has an order %d times, want once", n)
		}
	}
}

// cancelAnyTime spreads the moments over the time that an export takes.
func cancelAnyTime(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	whole := t.NewExport().Deliver(c).Took
	n, cut := 2*t.Sizes().Repeats, 0
	var exports []*suite.Export
	// How long a call takes varies with what else the machine does; so it goes
	// on until enough calls were under way when they were cancelled.
	for i := 0; i < n || cut < n/4 && i < 4*n; i++ {
		e := t.NewExport()
		after := 2 * whole * time.Duration(i%n) / time.Duration(n)
		ctx, stop := context.WithTimeout(t.Context(), after)
		attempt := e.Run(ctx, c)
		stop()
		if attempt.Err == nil {
			whole = min(whole, attempt.Took)
		} else if after > 0 {
			cut++
		}
		exports = append(exports, e)
	}
	t.Pause(stopTime(t)) // until then a cancelled call may still be at work
	for _, e := range exports {
		e.Deliver(c)
	}
	t.WantOrders(2 + len(exports))
}

// cancelWhileTargetHangs has a server for each kind of step, which hangs there
// while its export is cancelled, and goes on after the connector's time is over.
func cancelWhileTargetHangs(t *suite.T) {
	c := t.Start()
	goOn := make(chan struct{})
	hung := map[string]*suite.Export{}
	servers := map[string]target.Target{}
	before := map[string]int{}
	for _, step := range []string{"create", "write", "close", "stat", "list"} {
		at := t.NewTarget()
		server := at.(target.Server).SFTP() // the need says so
		e := t.NewExportOf(suite.SampleOrder(), suite.Connection(t.ConfigFor(at, nil, nil)))
		e.Connection.Id = suite.NewID()
		ctx, stop := context.WithTimeout(t.Context(), t.Limits().Call.D())
		reached := hangAt(server, step, stop, goOn)
		attempt := e.Run(ctx, c)
		stop()
		server.OnOperation(nil)
		select {
		case <-reached:
			hung[step], servers[step] = e, at
			before[step] = len(ordersAt(t, at))
			if attempt.Result.GetSuccess() {
				t.Errorf("cancelled while the target hung at a %s, it says that it has delivered", step)
			}
		default: // it does no such thing at the target
		}
	}
	t.Pause(stopTime(t))
	close(goOn)
	t.Pause(t.Sizes().Watch.D())
	for step, e := range hung {
		if len(ordersAt(t, servers[step])) > before[step] {
			t.Errorf("cancelled while the target hung at a %s, it went on when the target did", step)
			continue
		}
		wantRecovered(t, c, e)
		if orders, temporary := t.LookAt(servers[step]); len(orders) != 1 || len(temporary) > 0 {
			t.Errorf("after the next attempt the target that hung at a %s has %d orders and %d temporary files, want 1 and none",
				step, len(orders), len(temporary))
		}
	}
}

// hangAt has the server hang at the next step of a kind until goOn is closed.
// When it does, reached is closed and then is called.
func hangAt(server *target.SFTPServer, step string, then func(), goOn <-chan struct{}) (reached <-chan struct{}) {
	there := make(chan struct{})
	var once sync.Once
	server.OnOperation(func(op target.Operation) error {
		if op.Name == step {
			once.Do(func() {
				close(there)
				then()
				<-goOn
			})
		}
		return nil
	})
	return there
}

// exportStops looks at the connector's sockets, because its own client gives up
// at the deadline in any case.
func exportStops(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	before := measure(t, c.Pid)
	proxy := t.Target().(target.Network).Proxy() // the need says so
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
