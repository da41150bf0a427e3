package checks

import (
	"bytes"
	"os"
	"sync"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

// moments are the deaths that no message to the host announces.
func moments() []suite.Check {
	server := []suite.Need{suite.Resume, suite.SFTPServer}
	return []suite.Check{
		{
			ID: "kill/any-time", Level: suite.Must, Clauses: []string{"EXP-07", "EXP-09", "CHK-04"}, Needs: []suite.Need{suite.Resume},
			Run:   killAnyTime,
			Title: "killed at any time, it leaves no unfinished order, and the next attempt delivers exactly once",
		},
		{
			ID: "kill/target-step", Level: suite.Must, Clauses: []string{"EXP-07", "EXP-09", "CHK-04"}, Needs: server, Run: killAtTargetStep,
			Title: "killed before any step at the target, and after the last, the next attempt delivers exactly once",
		},
		{
			ID: "kill/answer-lost", Level: suite.Must, Clauses: []string{"EXP-07", "CHK-05", "ERR-04"}, Needs: server, Run: answerLost,
			Title: "a step whose answer is lost is neither repeated nor taken for a failure",
		},
		{
			ID: "kill/directory-away", Level: suite.Must, Clauses: []string{"CHK-05", "CHK-04"}, Run: directoryAway,
			Needs: []suite.Need{suite.Resume, suite.Files},
			Title: "an attempt that finds no directory does not take its order for delivered",
		},
	}
}

// ledger follows the orders of several exports at one target.
type ledger struct {
	t     *suite.T
	whole map[string][]byte // by name: the content that each finished order has
}

func newLedger(t *suite.T) *ledger { return &ledger{t: t, whole: map[string][]byte{}} }

// afterDeath fails if an export that was cut short has left half of an order.
func (l *ledger) afterDeath(what string, e *suite.Export) {
	orders, _ := l.t.Look()
	for _, order := range orders {
		if _, finished := l.whole[order.Name]; finished || order.Data == nil || e.Payload == nil {
			continue
		}
		if !bytes.Equal(order.Data, e.Payload.Data) {
			l.t.Fatalf("%s: the order %q is visible with %d bytes and is not whole", what, order.Name, len(order.Data))
		}
	}
}

// delivered fails unless an export has made exactly one more order.
func (l *ledger) delivered(what string) {
	orders := l.t.Orders()
	if want := len(l.whole) + 1; len(orders) != want {
		l.t.Fatalf("%s: after the next attempt the target has %d orders, want %d", what, len(orders), want)
	}
	for _, order := range orders {
		before, known := l.whole[order.Name]
		if known && !bytes.Equal(before, order.Data) {
			l.t.Errorf("%s: the order %q has changed", what, order.Name)
		}
		l.whole[order.Name] = order.Data
	}
}

// killAnyTime spreads the moments over the time that an export takes.
func killAnyTime(t *suite.T) {
	c := t.Start()
	l := newLedger(t)
	warm, timed := t.NewExport(), t.NewExport()
	warm.Deliver(c)
	l.delivered("a whole export")
	whole := timed.Deliver(c).Took
	l.delivered("a whole export")
	n := 2 * t.Sizes().Repeats
	for i := range n {
		e := t.NewExport()
		after := whole * time.Duration(i+1) / time.Duration(n)
		c.Ending()
		timer := time.AfterFunc(after, c.Kill)
		attempt := run(t, c, e)
		timer.Stop()
		c.Kill()
		what := "killed after " + after.Round(time.Microsecond).String()
		l.afterDeath(what, e)
		c = t.Start()
		if !attempt.Result.GetSuccess() {
			e.Deliver(c)
		}
		l.delivered(what)
	}
}

// counted calls at before the nth step that an export makes at the server.
func counted(server *target.SFTPServer, at int, then func()) (steps func() []string) {
	var mu sync.Mutex
	var seen []string
	server.OnOperation(func(op target.Operation) error {
		mu.Lock()
		seen = append(seen, op.Name)
		reached := len(seen) == at
		mu.Unlock()
		if reached {
			then()
			return os.ErrPermission
		}
		return nil
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// killAtTargetStep counts the steps of a whole export first.
func killAtTargetStep(t *suite.T) {
	server := t.Target().(target.Server).SFTP() // the need says so
	c := t.Start()
	l := newLedger(t)
	steps := counted(server, 0, func() {})
	t.NewExport().Deliver(c)
	l.delivered("a whole export")
	n := len(steps())
	for at := 1; at <= n; at++ {
		e := t.NewExport()
		steps = counted(server, at, c.Kill)
		attempt := run(t, c, e)
		server.OnOperation(nil)
		c.Kill()
		what := "killed after all steps"
		if at <= len(steps()) {
			what = "killed before a " + steps()[at-1]
		}
		l.afterDeath(what, e)
		c = t.Start()
		if !attempt.Result.GetSuccess() {
			e.Deliver(c)
		}
		l.delivered(what)
	}
}

// answerLost cuts the connection when the server has made a step, before the
// client hears of it.
func answerLost(t *suite.T) {
	server := t.Target().(target.Server).SFTP() // the need says so
	c := t.Start()
	for _, step := range []string{"rename", "remove"} {
		before, _ := t.Look()
		e := t.NewExport()
		var once sync.Once
		lost := false
		server.AfterOperation(func(op target.Operation) {
			if op.Name == step {
				once.Do(func() {
					lost = true
					server.Disconnect()
				})
			}
		})
		attempt := run(t, c, e)
		server.AfterOperation(nil)
		for try := 1; try < 4 && !attempt.Result.GetSuccess(); try++ {
			failure := attempt.Result.GetError()
			if attempt.Err == nil && !failure.GetRetryable() {
				t.Fatalf("after the answer to a %s was lost the export ended with a final error: %s", step, failure.GetMessage())
			}
			if code := port.CodeOf(failure.GetCode()); attempt.Err == nil && code == port.Internal {
				t.Errorf("after the answer to a %s was lost the code is INTERNAL: %s", step, failure.GetMessage())
			}
			attempt = run(t, c, e)
		}
		if !attempt.Result.GetSuccess() {
			t.Errorf("after the answer to a %s was lost it does not recover: %v, %v", step, attempt.Result.GetError(), attempt.Err)
		}
		if orders := t.Orders(); len(orders) != len(before)+1 {
			t.Errorf("after the answer to a %s was lost (%v) the export has made %d orders, want 1", step, lost, len(orders)-len(before))
		}
	}
}

// directoryAway hides the directory, as an unmounted disk does, from an attempt
// that follows a checkpoint.
func directoryAway(t *suite.T) {
	files := t.Target().(target.Files) // the need says so
	c := t.Start()
	e := t.NewExport()
	e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
		if kind == suite.CheckpointMessage {
			return suite.CutAfter
		}
		return suite.Answer{}
	}
	run(t, c, e)
	if e.Checkpoint == nil {
		t.Skipf("it saves no checkpoint")
	}
	e.OnMessage = nil
	away := files.OrdersDir() + "-away"
	if err := os.Rename(files.OrdersDir(), away); err != nil {
		t.Fatalf("%v", err)
	}
	attempt := run(t, c, e)
	if err := os.Rename(away, files.OrdersDir()); err != nil {
		t.Fatalf("%v", err)
	}
	switch failure := attempt.Result.GetError(); {
	case attempt.Err != nil:
		t.Errorf("without its directory: a gRPC status instead of a result: %v", attempt.Err)
	case attempt.Result.GetSuccess():
		t.Errorf("without its directory it says that it has delivered")
	case !failure.GetRetryable():
		t.Errorf("without its directory the export ends with a final error: %s", failure.GetMessage())
	default:
		e.Deliver(c)
	}
	t.WantOrders(1)
}
