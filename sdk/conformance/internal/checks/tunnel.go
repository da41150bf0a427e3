package checks

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/tunnel"
)

// tunnels do not apply to a connector that serves no tunnel.
func tunnels() []suite.Check {
	return []suite.Check{
		{
			ID: "tunnel/exports", Level: suite.Must, Clauses: []string{"SVC-07", "EXP-15", "EXP-08"}, Run: exportsInTunnels,
			Title: "many exports at one time in two tunnels arrive once each, with their own answers and one end",
		},
		{
			ID: "tunnel/waiting-neighbour", Level: suite.Must, Clauses: []string{"SVC-07"}, Run: waitingInTunnel,
			Title: "an export that waits for the host holds up no other in its tunnel",
		},
		{
			ID: "tunnel/cancel", Level: suite.Must, Clauses: []string{"SVC-07", "EXP-14"}, Run: cancelInTunnel,
			Title: "a call that is cancelled, or whose timeout passes, ends in time, and the others and the tunnel go on",
		},
		{
			ID: "tunnel/broken", Level: suite.Must, Clauses: []string{"SVC-07", "EXP-14"}, Alone: true,
			Needs: []suite.Need{suite.Network, suite.Proc}, Run: brokenTunnel,
			Title: "when the stream breaks its exports stop, and another tunnel can be opened",
		},
		{
			ID: "tunnel/unknown", Level: suite.Must, Clauses: []string{"SVC-07"}, Run: unknownInTunnel,
			Title: "a frame without a message is ignored if its call has ended or never began",
		},
		{
			ID: "tunnel/end", Level: suite.Must, Clauses: []string{"SVC-07"}, Run: tunnelEnds,
			Title: "when the host has closed its side the stream ends as soon as its calls have ended, and not before",
		},
		{
			ID: "tunnel/stop", Level: suite.Must, Clauses: []string{"LIF-01", "LIF-02"}, Run: stopWithTunnel,
			Title: "a tunnel that stays open does not keep it from stopping in time",
		},
	}
}

// exportsInTunnels has one tunnel whose frames are looked at, and one that is
// used as the host does.
func exportsInTunnels(t *suite.T) {
	c := t.Start()
	watched := c.OpenTunnel()
	ctx, cancel := t.Call()
	defer cancel()
	dialled, err := tunnel.Dial(ctx, c.Conn)
	if err != nil {
		t.Fatalf("beside another tunnel: %v", err)
	}
	defer dialled.Close()
	exportAtOnce(t, watched.Connector(0), c.With(connectorv1.NewConnectorServiceClient(dialled)))
	hearOut(t, watched)
}

// hearOut waits for what may still come through a tunnel.
func hearOut(t *suite.T, u *suite.Tunnel) {
	u.CloseSend()
	u.Ends(stopTime(t))
}

// waitingInTunnel runs others at each place where the host is asked.
func waitingInTunnel(t *suite.T) {
	u := t.Start().OpenTunnel()
	c := u.Connector(0)
	e := t.NewExport()
	others := 0
	e.OnMessage = func(_ suite.Kind, n int) suite.Answer {
		ctx, stop := context.WithTimeout(t.Context(), t.Limits().Call.D()/4)
		defer stop()
		for range t.Sizes().Repeats {
			if n > 1 || ctx.Err() != nil {
				break
			}
			others++
			if other := t.NewExport().Run(ctx, c); !other.Result.GetSuccess() {
				t.Errorf("while an export waits for the host, another one in its tunnel failed: %v, %v",
					other.Result.GetError(), other.Err)
				break
			}
		}
		return suite.Answer{}
	}
	if e.Deliver(c); others == 0 {
		t.Notef("it asks the host nothing during an export")
	}
	t.WantOrders(others + 1)
}

// cancelInTunnel ends calls that wait for the host beside one that waits, too.
func cancelInTunnel(t *suite.T) {
	u := t.Start().OpenTunnel()
	c, short := u.Connector(0), t.Sizes().Watch.D()
	hurried := u.Connector(short)
	neighbour, goOn := waitingNeighbour(t, c)
	open := u.Open()
	for _, kind := range []suite.Kind{suite.PayloadMessage, suite.CheckpointMessage} {
		run(t, c, answering(t, kind, suite.CutBefore))
		if !t.Eventually(stopTime(t), func() bool { return u.Open() <= open }) {
			t.Errorf("%v after its cancel a call has not ended", stopTime(t))
			open = u.Open()
		}
		ctx, stop := context.WithTimeout(t.Context(), short+stopTime(t))
		answering(t, kind, suite.Answer{Lose: true, Silent: true}).Run(ctx, hurried)
		if u.Open() > open {
			t.Errorf("%v after its timeout a call has not ended", stopTime(t))
			open = u.Open()
		}
		stop()
	}
	goOn()
	last := t.NewExportOf(marked("MARK-LAST-X"), t.Connection())
	if attempt := run(t, c, last); !attempt.Result.GetSuccess() {
		t.Errorf("after calls were cancelled, another one in their tunnel failed: %v, %v", attempt.Result.GetError(), attempt.Err)
	}
	orders, _ := t.Look() // with what the cancelled ones have left
	wantOwn(t, "MARK-FIRST-X", neighbour, orders)
	wantOwn(t, "MARK-LAST-X", last, orders)
	hearOut(t, u)
}

// waitingNeighbour returns an export that waits for its first answer until it
// may go on. Then it must succeed.
func waitingNeighbour(t *suite.T, c *suite.Connector) (e *suite.Export, goOn func()) {
	e = t.NewExportOf(marked("MARK-FIRST-X"), t.Connection())
	asked, answer, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	e.OnMessage = func(suite.Kind, int) suite.Answer {
		once.Do(func() { close(asked) })
		select {
		case <-answer:
		case <-t.Context().Done():
		}
		return suite.Answer{}
	}
	go func() {
		defer close(done)
		if attempt := run(t, c, e); !attempt.Result.GetSuccess() {
			t.Errorf("beside calls that were cancelled, one in their tunnel failed: %v, %v", attempt.Result.GetError(), attempt.Err)
		}
	}()
	select {
	case <-asked:
	case <-done: // it asks nothing
	}
	return e, func() {
		close(answer)
		<-done
	}
}

// answering returns an export with that answer to one kind of message.
func answering(t *suite.T, kind suite.Kind, answer suite.Answer) *suite.Export {
	e := t.NewExport()
	e.OnMessage = func(k suite.Kind, _ int) suite.Answer {
		if k != kind {
			return suite.Answer{}
		}
		return answer
	}
	return e
}

// brokenTunnel looks at the connector's sockets: of the call nothing is heard
// any more. It is one call, for which no connector needs more than a session.
func brokenTunnel(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c)
	u := c.OpenTunnel()
	before := measure(t, c.Pid)
	proxy := t.Target().(target.Network).Proxy() // the need says so
	proxy.Blackhole(true)
	e, done := t.NewExport(), make(chan struct{})
	through := u.Connector(0)
	go func() {
		defer close(done)
		e.Run(t.Context(), through)
	}()
	t.Pause(t.Sizes().Watch.D())
	u.Break()
	<-done
	within := stopTime(t)
	if !t.Eventually(within, func() bool { return measure(t, c.Pid).Sockets <= before.Sockets }) {
		t.Errorf("%v after the tunnel broke it still has %d sockets open, before it had %d",
			within, measure(t, c.Pid).Sockets, before.Sockets)
	}
	proxy.Blackhole(false)
	proxy.Cut()
	wantRecovered(t, c.OpenTunnel().Connector(0), e)
}

func unknownInTunnel(t *suite.T) {
	u := t.Start().OpenTunnel()
	c := u.Connector(0)
	t.NewExport().Deliver(c)
	ended, never := u.CallID(1), u.CallID(1<<20)
	frames := []*connectorv1.TunnelRequestFrame{
		{Call: ended},
		{Call: ended, Cancel: true},
		{Call: never},
		{Call: never, Cancel: true},
		{Call: never, Timeout: durationpb.New(time.Millisecond)},
	}
	for _, frame := range frames {
		u.Send(frame)
		if attempt := run(t, c, t.NewExport()); !attempt.Result.GetSuccess() {
			t.Fatalf("after a frame of no call (%v) an export in the tunnel failed: %v, %v",
				frame, attempt.Result.GetError(), attempt.Err)
		}
	}
	t.WantOrders(1 + len(frames))
	hearOut(t, u)
}

// tunnelEnds closes the host's side when no call is under way, behind the last
// answer to one, and while one waits for an answer that does not come.
func tunnelEnds(t *suite.T) {
	c := t.Start()
	idle := c.OpenTunnel()
	whole := t.NewExport().Deliver(idle.Connector(0))
	idle.CloseSend()
	wantTunnelEnd(t, idle, "without a call", stopTime(t))

	last := len(whole.Payloads) + len(whole.Checkpoints)
	if last == 0 {
		t.Notef("it asks the host nothing during an export")
		return
	}
	busy := c.OpenTunnel()
	e := closing(t, busy, last, suite.Answer{})
	if attempt := run(t, busy.Connector(0), e); !attempt.Result.GetSuccess() {
		t.Errorf("an export that was under way when the host closed its side failed: %v, %v", attempt.Result.GetError(), attempt.Err)
	}
	wantTunnelEnd(t, busy, "behind the last answer", stopTime(t))
	t.WantOrders(2)

	waiting, timeout := c.OpenTunnel(), t.Sizes().Watch.D()
	run(t, waiting.Connector(timeout), closing(t, waiting, 1, suite.Answer{Lose: true, Silent: true}))
	waiting.CloseSend() // it may not have come to ask
	wantTunnelEnd(t, waiting, "while a call waited", timeout+stopTime(t))
}

// closing returns an export that closes the host's side after its nth question,
// with that answer.
func closing(t *suite.T, u *suite.Tunnel, nth int, answer suite.Answer) *suite.Export {
	e := t.NewExport()
	asked := 0
	e.OnMessage = func(kind suite.Kind, _ int) suite.Answer {
		if kind != suite.ProgressMessage {
			asked++
		}
		if kind == suite.ProgressMessage || asked != nth {
			return suite.Answer{}
		}
		answer.Then = u.CloseSend
		return answer
	}
	return e
}

func wantTunnelEnd(t *suite.T, u *suite.Tunnel, when string, within time.Duration) {
	if !u.Ends(within) {
		t.Errorf("closed by the host %s, the tunnel is still open after %v", when, within)
	} else if n := u.Open(); n > 0 {
		t.Errorf("closed by the host %s, the tunnel ended before %d of its calls", when, n)
	}
}

func stopWithTunnel(t *suite.T) {
	c := t.Start()
	t.NewExport().Deliver(c.OpenTunnel().Connector(0))
	wantCleanEnd(t, c, stop(t, c))
}
