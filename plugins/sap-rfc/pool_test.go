package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk/sdktest"
)

// poolOf is a pool of a bench's system with the bench's clock.
func poolOf(t *testing.T, b *bench, f fields) *pool {
	t.Helper()
	return newPool(b.sap, lookupConfig(t, f), b.connector.now)
}

func mustAcquire(t *testing.T, p *pool) rfc.Session {
	t.Helper()
	s, err := p.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPoolOpensNoMoreSessionsThanItsLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, fields{"max_sessions": 2})
	first, second := mustAcquire(t, p), mustAcquire(t, p)
	got := make(chan rfc.Session)
	go func() {
		s, _ := p.acquire(t.Context())
		got <- s
	}()
	select {
	case <-got:
		t.Fatal("a third session was handed out")
	case <-time.After(20 * time.Millisecond): // there is no signal for what must not happen
	}
	p.release(first, true)
	if s := <-got; s != first {
		t.Error("the session that was given back is not used again")
	}
	p.release(second, true)
	if b.sap.opened != 2 {
		t.Errorf("%d sessions opened", b.sap.opened)
	}
}

func TestAWaitForASessionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, fields{"max_sessions": 1})
	mustAcquire(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestASessionIsAskedForASignOfLifeAfterAWhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		idle                   time.Duration
		pingErr                error
		pings, opened, dropped int
	}{
		"not at once":                {time.Second, nil, 0, 1, 0},
		"after some seconds":         {rfc.SessionIdle, nil, 1, 1, 0},
		"and replaced if it is dead": {rfc.SessionIdle, &rfc.Error{Class: rfc.Unreachable, Broken: true}, 1, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			p := poolOf(t, b, nil)
			p.release(mustAcquire(t, p), true)
			b.pass(c.idle)
			b.sap.pingErr = c.pingErr
			p.release(mustAcquire(t, p), true)
			if b.sap.pings != c.pings || b.sap.opened != c.opened || b.sap.closed != c.dropped {
				t.Errorf("%d pings, %d opened, %d closed; want %d, %d, %d", b.sap.pings, b.sap.opened, b.sap.closed, c.pings, c.opened, c.dropped)
			}
		})
	}
}

// What a session has not committed must not be saved by the next user's commit.
func TestASessionThatIsNotCleanIsClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, fields{"max_sessions": 1})
	first := mustAcquire(t, p)
	p.release(first, false)
	if second := mustAcquire(t, p); second == first || b.sap.closed != 1 {
		t.Errorf("closed %d", b.sap.closed)
	}
}

func TestSessionsThatNobodyUsesAreClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, nil)
	first, second := mustAcquire(t, p), mustAcquire(t, p)
	p.release(first, true)
	b.pass(idleAfter - time.Second)
	p.release(second, true)
	b.pass(time.Second)
	p.sweep()
	if b.sap.closed != 1 {
		t.Errorf("%d closed, want the older one", b.sap.closed)
	}
	b.pass(idleAfter)
	p.sweep()
	if b.sap.closed != 2 || !p.quiet() {
		t.Errorf("%d closed", b.sap.closed)
	}
}

func TestAnotherConfigGetsOtherSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	run := func(cfg fields, id string) {
		e := b.host.NewExport(cfg.json(), sdktest.SampleOrder())
		e.ID = id
		if result, err := e.Run(t.Context()); err != nil || !result.GetSuccess() {
			t.Fatalf("%v, %v", result, err)
		}
	}
	run(nwrfcFields(), "0b54b0a5-9f0e-4c0f-8a53-6d2a7f1f9b01")
	run(nwrfcFields(), "0b54b0a5-9f0e-4c0f-8a53-6d2a7f1f9b02")
	if b.sap.opened != 1 {
		t.Errorf("%d sessions for one config", b.sap.opened)
	}
	run(nwrfcFields().with(fields{"password": "another"}), "0b54b0a5-9f0e-4c0f-8a53-6d2a7f1f9b03")
	if b.sap.opened != 2 || b.sap.closed != 1 {
		t.Errorf("%d opened, %d closed: the old password's session must go", b.sap.opened, b.sap.closed)
	}
}

// A session that is in use while the config changes ends with its use.
func TestARetiredPoolKeepsNoSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, nil)
	s := mustAcquire(t, p)
	p.retire()
	if b.sap.closed != 0 {
		t.Error("a session was closed under its user")
	}
	p.release(s, true)
	if b.sap.closed != 1 {
		t.Error("a retired pool keeps a session")
	}
}

// Ten attempts at once with a wrong password are one wrong logon, not ten.
func TestOneRefusalAnswersForAllThatWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.openErr = &rfc.Error{Class: rfc.LogonRefused, Broken: true, Message: "wrong password"}
	b.sap.slow = make(chan struct{})
	p := poolOf(t, b, fields{"max_sessions": 10})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := p.acquire(t.Context()); !rfc.Is(err, rfc.LogonRefused) {
				t.Errorf("got %v", err)
			}
		})
	}
	close(b.sap.slow)
	wg.Wait()
	if b.sap.opened != 1 {
		t.Errorf("%d logons", b.sap.opened)
	}
}

func TestARefusalHoldsLongerEachTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sap.openErr = &rfc.Error{Class: rfc.LogonRefused, Broken: true, Message: "wrong password"}
	p := poolOf(t, b, nil)
	logons := 0
	for _, hold := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		_, _ = p.acquire(t.Context())
		logons++
		b.pass(hold - time.Second)
		if _, err := p.acquire(t.Context()); !rfc.Is(err, rfc.LogonRefused) || b.sap.opened != logons {
			t.Fatalf("%d logons before %s had passed, want %d: %v", b.sap.opened, hold, logons, err)
		}
		b.pass(time.Second)
	}
	b.sap.openErr = nil
	p.release(mustAcquire(t, p), true)
	if p.refusals != 0 {
		t.Error("a logon that works leaves the refusals counted")
	}
}

func TestTheSystemIsNotGuessed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  *rfc.Error
		want string // "": an error
	}{
		"it says its id":                     {nil, "S4H client 100"},
		"the user may not ask":               {&rfc.Error{Class: rfc.NotAuthorized, Sent: true}, "nwrfc sap.example system 00 client 100"},
		"the service refuses with a fault":   {&rfc.Error{Class: rfc.Dumped, Sent: true, Key: "FAULT"}, "nwrfc sap.example system 00 client 100"},
		"no answer in time is no answer":     {&rfc.Error{Class: rfc.TimedOut, Sent: true, Broken: true}, ""},
		"a dump that ends the session":       {&rfc.Error{Class: rfc.Dumped, Sent: true, Broken: true}, ""},
		"a server that is busy for a moment": {&rfc.Error{Class: rfc.Busy}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if c.err != nil {
				b.sap.others = map[string]func(rfc.Call) (rfc.Reply, error){"RFC_SYSTEM_INFO": func(rfc.Call) (rfc.Reply, error) { return rfc.Reply{}, c.err }}
			}
			p := poolOf(t, b, nil)
			got, err := p.system(t.Context(), mustAcquire(t, p), lookupConfig(t, nil))
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestASessionWhoseCallWasGivenUpIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := poolOf(t, b, nil)
	first := mustAcquire(t, p)
	first.(*fakeSession).givenUp = true
	p.release(first, true)
	if second := mustAcquire(t, p); second == first || b.sap.closed != 1 {
		t.Errorf("closed %d", b.sap.closed)
	}
}
