package checks

import (
	"context"
	"os"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

func shutdown() []suite.Check {
	return []suite.Check{
		{
			ID: "shutdown/service", Level: suite.Should, Clauses: []string{"SVC-03"}, Run: shutdownService,
			Title: "it serves plugin.GRPCController/Shutdown",
		},
		{
			ID: "shutdown/idle", Level: suite.Must, Clauses: []string{"LIF-01", "LIF-02", "LIF-05"}, Run: shutdownIdle,
			Title: "idle, it exits in time with status 0 and removes its socket",
		},
		{
			ID: "shutdown/sigterm", Level: suite.Must, Clauses: []string{"LIF-04", "LIF-05"}, Run: sigterm,
			Title: "SIGTERM stops it as well",
		},
		{
			ID: "shutdown/sigint", Level: suite.Must, Clauses: []string{"LIF-04"}, Run: sigint,
			Title: "SIGINT is ignored",
		},
		{
			ID: "shutdown/twice", Level: suite.Must, Clauses: []string{"LIF-01", "LIF-04"}, Run: stopTwice,
			Title: "being told to stop again does no harm",
		},
		{
			ID: "shutdown/under-way", Level: suite.Must, Clauses: []string{"LIF-03", "EXP-07"}, Needs: []suite.Need{suite.Resume},
			Run:   stopUnderWay,
			Title: "an export that is under way at the stop ends so that the next attempt delivers once",
		},
		{
			ID: "shutdown/no-children", Level: suite.Must, Clauses: []string{"LIF-06"}, Needs: []suite.Need{suite.Proc},
			Run:   noChildren,
			Title: "it leaves no processes behind",
		},
		{
			ID: "shutdown/host-dies", Level: suite.Must, Clauses: []string{"LIF-08", "LIF-06"}, Needs: []suite.Need{suite.Proc},
			Run:   hostDies,
			Title: "it exits by itself soon after its host was killed",
		},
	}
}

// stop asks a connector to stop, by the call that it SHOULD serve or else by
// the signal, and returns its status. A connector that goes on fails the check.
func stop(t *suite.T, c *suite.Connector) int {
	ctx, cancel := context.WithTimeout(t.Context(), t.Limits().Stop.D())
	defer cancel()
	if err := c.Shutdown(ctx); status.Code(err) == codes.Unimplemented {
		_ = c.Terminate()
	}
	limit := t.Limits().Stop.D() + t.Limits().Slack.D()
	code, ended := c.Wait(limit)
	if !ended {
		t.Fatalf("%v after it was told to stop it still runs", limit)
	}
	return code
}

func shutdownService(t *suite.T) {
	c := t.Start()
	ctx, cancel := context.WithTimeout(t.Context(), t.Limits().Stop.D())
	defer cancel()
	// The answer may get lost in the stop; UNIMPLEMENTED comes before it.
	if err := c.Shutdown(ctx); status.Code(err) == codes.Unimplemented {
		t.Errorf("Shutdown is UNIMPLEMENTED, so every stop ends with a signal")
	}
}

func shutdownIdle(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	wantCleanEnd(t, c, stop(t, c))
}

func wantCleanEnd(t *suite.T, c *suite.Connector, code int) {
	if code != 0 {
		t.Errorf("it ended with status %d, want 0; standard error ends with: %s", code, c.Stderr.Tail(300))
	}
	if left, _ := os.ReadDir(c.SocketDir); len(left) > 0 {
		t.Errorf("it left %q in the socket directory", left[0].Name())
	}
}

func sigterm(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	if err := c.Terminate(); err != nil {
		t.Fatalf("%v", err)
	}
	limit := t.Limits().Stop.D() + t.Limits().Slack.D()
	code, ended := c.Wait(limit)
	if !ended {
		t.Fatalf("%v after SIGTERM it still runs", limit)
	}
	wantCleanEnd(t, c, code)
}

func sigint(t *suite.T) {
	c := t.Start()
	for range 3 {
		_ = c.Signal(syscall.SIGINT) // fails once it has ended
	}
	if _, ended := c.Wait(t.Sizes().Watch.D()); ended {
		t.Fatalf("SIGINT ended it")
	}
	t.NewExport().Deliver(c)
	t.WantOrders(1)
}

func stopTwice(t *suite.T) {
	c := t.Start()
	ctx, cancel := context.WithTimeout(t.Context(), t.Limits().Stop.D())
	defer cancel()
	if err := c.Shutdown(ctx); status.Code(err) == codes.Unimplemented {
		_ = c.Terminate()
	}
	// Any of these may come too late.
	_ = c.Terminate()
	_ = c.Shutdown(ctx)
	limit := t.Limits().Stop.D() + t.Limits().Slack.D()
	code, ended := c.Wait(limit)
	if !ended {
		t.Fatalf("%v after it was told to stop it still runs", limit)
	}
	wantCleanEnd(t, c, code)
}

// stopUnderWay stops at each question to the host, kills as the host does when
// the stop takes too long, and delivers with a new process.
func stopUnderWay(t *suite.T) {
	for _, where := range []suite.Kind{suite.PayloadMessage, suite.CheckpointMessage} {
		c := t.Start()
		e := t.NewExport()
		told := false
		e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
			if kind != where {
				return suite.Answer{}
			}
			told = true
			_ = c.Terminate()
			t.Pause(t.Sizes().Watch.D())
			return suite.Answer{}
		}
		attempt := run(t, c, e)
		if !told {
			continue // it does not ask that
		}
		_, _ = c.Wait(t.Limits().Stop.D() + t.Limits().Slack.D())
		c.Kill()
		if attempt.Result.GetError() != nil && !attempt.Result.GetError().GetRetryable() {
			t.Errorf("an export that was cut short by the stop ended with a final error: %s", attempt.Result.GetError().GetMessage())
			continue
		}
		if !attempt.Result.GetSuccess() {
			e.OnMessage = nil
			e.Deliver(t.Start())
		}
		wantOnce(t, e)
	}
}

func noChildren(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	below := procfs.Descendants(c.Pid)
	stop(t, c)
	left := func() []int {
		var alive []int
		for _, pid := range append(procfs.Group(c.Pid), below...) {
			if procfs.Alive(pid) {
				alive = append(alive, pid)
			}
		}
		return alive
	}
	if !t.Eventually(time.Second, func() bool { return len(left()) == 0 }) {
		for _, pid := range left() {
			t.Errorf("after its end a process of it still runs: %q", procfs.Texts(pid)["cmdline"])
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func hostDies(t *suite.T) {
	c := t.StartWith(launch.Options{Under: true})
	ctx, cancel := t.Call()
	defer cancel()
	if _, err := c.Port.Describe(ctx, &connectorv1.DescribeRequest{}); err != nil {
		t.Fatalf("describe: %v", err)
	}
	family := procfs.Descendants(c.Pid)
	if len(family) == 0 {
		t.Fatalf("the connector is not there")
	}
	c.Ending()
	c.KillHost()
	limit := t.Limits().Orphan.D() + t.Limits().Slack.D()
	gone := func() bool {
		for _, pid := range family {
			if procfs.Alive(pid) {
				return false
			}
		}
		return true
	}
	if !t.Eventually(limit, gone) {
		t.Errorf("%v after its host was killed it still runs", limit)
	}
}
