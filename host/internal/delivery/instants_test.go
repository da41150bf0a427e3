package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

// instant is a moment in the life of an export at which something can die.
type instant string

const (
	beforeClaim   instant = "before the claim commits"
	afterClaim    instant = "after the claim, before the connector is called"
	atConnector   instant = "when the connector has been called"
	beforePayload instant = "before the payload is stored"
	afterPayload  instant = "after the payload is stored"
	beforeSave    instant = "before the checkpoint commits"
	afterSave     instant = "after the checkpoint"
	beforeVisible instant = "before the visible step"
	afterVisible  instant = "after the visible step"
	beforeFinish  instant = "before the result commits"
	afterFinish   instant = "after the result commits"
)

// mortal is a host that dies at an instant of its first attempt: its store, its
// payloads and its connector. From then on nothing that it does has any effect,
// until it is woken as one that was only paused.
type mortal struct {
	line
	at          instant
	once        sync.Once
	died, awake chan struct{}
}

func newMortal(s store.Store, at instant) *mortal {
	return &mortal{line: line{Store: s}, at: at, died: make(chan struct{}), awake: make(chan struct{})}
}

// dies says whether this is the instant.
func (m *mortal) dies(at instant) (now bool) {
	if at == m.at {
		m.once.Do(func() {
			now = true
			m.cut.Store(true)
			close(m.died)
		})
	}
	return now
}

// pass is an instant in the connector's work: it dies with its host.
func (m *mortal) pass(at instant) {
	if m.dies(at) {
		<-m.awake
	}
}

func (m *mortal) wake() {
	m.cut.Store(false)
	close(m.awake)
}

func (m *mortal) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claimed, error) {
	if m.dies(beforeClaim) {
		return nil, errAway
	}
	claimed, err := m.line.Claim(ctx, req)
	if len(claimed) > 0 && m.dies(afterClaim) {
		return nil, errAway
	}
	return claimed, err
}

func (m *mortal) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if m.dies(beforeSave) {
		return nil, errAway
	}
	errs, err := m.line.SaveAll(ctx, saves)
	if m.dies(afterSave) {
		return nil, errAway
	}
	return errs, err
}

func (m *mortal) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	if m.dies(beforeFinish) {
		return nil, errAway
	}
	errs, err := m.line.FinishAll(ctx, finishes)
	if m.dies(afterFinish) {
		return nil, errAway
	}
	return errs, err
}

// mortalPayloads are the payloads of a mortal host.
type mortalPayloads struct {
	delivery.Payloads
	m *mortal
}

func (p mortalPayloads) Put(ctx context.Context, key string, data []byte) (payload.Object, error) {
	p.m.pass(beforePayload)
	object, err := p.Payloads.Put(ctx, key, data)
	p.m.pass(afterPayload)
	return object, err
}

// resumed is what an attempt was given of those before it.
type resumed struct {
	mu   sync.Mutex
	last string // the checkpoint, "nothing" if there was none
}

func (r *resumed) note(start *connectorv1.ExportStart) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = "nothing"
	if checkpoint := start.GetResume().GetCheckpoint(); checkpoint != nil {
		r.last = string(checkpoint)
	}
}

// careful makes p deliver as a connector must, and tell where it is.
func careful(p *erp, pass func(instant)) *resumed {
	r := &resumed{}
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		ctx = context.WithoutCancel(ctx)
		r.note(start)
		pass(atConnector)
		if start.GetResume().GetCheckpoint() == nil {
			if refused := p.stage(ctx, start.GetExportId(), sink); refused != nil {
				return &connectorv1.ExportResult{Error: refused}, nil
			}
		}
		pass(beforeVisible)
		result := p.publish(start.GetExportId())
		pass(afterVisible)
		return result, nil
	}
	return r
}

// TestAHostMayDieAtAnyInstant kills a host at each instant, has its restart go
// on, and at last wakes the dead one as if it had only been paused.
func TestAHostMayDieAtAnyInstant(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		at        instant
		attempts  string
		memory    string // what the last attempt was given
		recovered bool
	}{
		{beforeClaim, "DELIVERED", "nothing", false},
		{afterClaim, "LOST DELIVERED", "nothing", false},
		{atConnector, "LOST DELIVERED", "nothing", false},
		{beforePayload, "LOST DELIVERED", "nothing", false},
		{afterPayload, "LOST DELIVERED", "nothing", false},
		{beforeSave, "LOST DELIVERED", "nothing", false},
		{afterSave, "LOST DELIVERED", "staged", false},
		{beforeVisible, "LOST DELIVERED", "staged", false},
		{afterVisible, "LOST DELIVERED", "staged", true},
		{beforeFinish, "LOST DELIVERED", "staged", true},
		{afterFinish, "DELIVERED", "nothing", false},
	} {
		t.Run(string(tc.at), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				p := newERP()
				m := newMortal(w.store, tc.at)
				memory := careful(p, m.pass)
				exports := w.accept(w.connection(), 1)
				o := w.afterDeath(m, p)
				w.run(o)
				got := w.await(domain.Sent, exports...)[0]
				if w.outcomes(got) != tc.attempts || memory.last != tc.memory || w.recovered(got) != tc.recovered {
					t.Errorf("attempts %s, the last was given %s, recovered %t; want %s, %s, %t",
						w.outcomes(got), memory.last, w.recovered(got), tc.attempts, tc.memory, tc.recovered)
				}
				if got.StorageKey == "" || got.PayloadSize == 0 || got.ExternalRef != "ref-"+got.ID.String() || got.FailureCount != 0 {
					t.Errorf("it is recorded as %+v", got)
				}
				p.verifyLate(t, m, 1, got.ID)
				if after := w.get(got); after.Status != domain.Sent || w.outcomes(got) != tc.attempts {
					t.Errorf("after the dead host woke it is %s, attempts %s", after.Status, w.outcomes(got))
				}
			})
		})
	}
}

// TestWithoutResumeAHostMayDieAtAnyInstant is the same with a connector that
// can't find out what has happened: it is never run again.
func TestWithoutResumeAHostMayDieAtAnyInstant(t *testing.T) {
	t.Parallel()
	for at, want := range map[instant]struct {
		status  domain.ExportStatus
		visible int
	}{
		beforeClaim:   {domain.Sent, 1},
		afterClaim:    {domain.Failed, 0},
		atConnector:   {domain.Failed, 0},
		beforeSave:    {domain.Failed, 0},
		afterSave:     {domain.Failed, 0},
		beforeVisible: {domain.Failed, 0},
		afterVisible:  {domain.Failed, 1},
		beforeFinish:  {domain.Failed, 1},
		afterFinish:   {domain.Sent, 1},
	} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			w, _ := onPostgres(t)
			p := newERP(connectorv1.Capability_CAPABILITY_FENCED)
			m := newMortal(w.store, at)
			careful(p, m.pass)
			exports := w.accept(w.connection(), 1)
			w.run(w.afterDeath(m, p))
			got := w.await(want.status, exports...)[0]
			if want.status == domain.Failed && (got.Error.Code != port.OutcomeUnknown || w.outcomes(got) != "LOST") {
				t.Errorf("error %+v, attempts %s", got.Error, w.outcomes(got))
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if n := p.visible[got.ID.String()]; n != want.visible || p.attempts[got.ID.String()] > 1 {
				t.Errorf("it is in the ERP %d times after %d attempts, want %d and at most one", n, p.attempts[got.ID.String()], want.visible)
			}
			m.wake()
		})
	}
}

// afterDeath runs a mortal host until it has died, and returns the options of
// its restart. It is stopped at the end of the test, which must wake it.
func (w *world) afterDeath(m *mortal, p *erp) delivery.Options {
	w.t.Helper()
	o := w.options(registry{erpType: p})
	restarted := o
	o.Store, o.HostID, o.Payloads = m, uuid.New(), mortalPayloads{o.Payloads, m}
	w.run(o)
	<-m.died
	restarted.Predecessor = o.HostID
	return restarted
}

// verifyLate wakes the dead host, lets its attempt end, and verifies.
func (p *erp) verifyLate(t *testing.T, m *mortal, want int, id uuid.UUID) {
	t.Helper()
	m.wake()
	eventually(t, "the late attempt has ended", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now == 0
	})
	p.set(func() { p.overlaps = 0 }) // with the dead one there had to be some
	p.verify(t, want, id)
}

func (w *world) recovered(e domain.Export) bool {
	w.t.Helper()
	attempts, err := w.store.Attempts(context.Background(), e.OrgID, e.ID)
	must(w.t, err)
	return attempts[len(attempts)-1].Recovered
}

// TestAConnectorMayDieAtAnyInstant lets the first attempt end without a word.
func TestAConnectorMayDieAtAnyInstant(t *testing.T) {
	t.Parallel()
	const (
		resume = connectorv1.Capability_CAPABILITY_RESUME
		fenced = connectorv1.Capability_CAPABILITY_FENCED
		acks   = connectorv1.Capability_CAPABILITY_ACKS
	)
	type caps = []connectorv1.Capability
	again, unknown := domain.Sent, domain.Failed
	for _, tc := range []silent{
		{"resumable and fenced", caps{resume, fenced}, map[instant]domain.ExportStatus{
			atConnector: again, afterPayload: again, afterSave: again, afterVisible: again,
		}},
		{"resumable", caps{resume}, map[instant]domain.ExportStatus{
			atConnector: again, afterPayload: again, afterSave: again, afterVisible: again,
		}},
		{"fenced: nothing was made before the checkpoint", caps{fenced}, map[instant]domain.ExportStatus{
			atConnector: again, afterPayload: again, afterSave: unknown, afterVisible: unknown,
		}},
		{"neither", caps{acks}, map[instant]domain.ExportStatus{
			atConnector: unknown, afterPayload: unknown, afterSave: unknown, afterVisible: unknown,
		}},
	} {
		for how, end := range map[string]func(context.Context) error{
			"dies": func(context.Context) error { return &connector.CrashError{Type: erpType, Reason: "signal 9"} },
			"breaks the contract": func(context.Context) error {
				return &connector.ContractError{Type: erpType, Reason: "no result"}
			},
			"hangs": hang,
		} {
			for at := range tc.want {
				t.Run(tc.name+"/"+how+"/"+string(at), func(t *testing.T) {
					t.Parallel()
					timeout := quick().AttemptTimeout
					if how == "hangs" {
						timeout = 3 * time.Second
					}
					lengthening(t, timeout, func(timeout time.Duration) bool { return tc.diesAt(t, at, end, timeout) })
				})
			}
		}
	}
}

// lengthening runs a test whose attempt has to get somewhere before its time is
// up, with more and more time until it has.
func lengthening(t *testing.T, timeout time.Duration, try func(timeout time.Duration) (reached bool)) {
	t.Helper()
	for !try(timeout) {
		if timeout *= 2; timeout > time.Minute {
			t.Fatal("no attempt gets as far as it has to")
		}
		t.Logf("the attempt was over too soon; once more, with %s", timeout)
	}
}

// hang waits until the attempt's time is up.
func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// silent is a kind of connector, and how an export ends whose first attempt
// has ended at an instant without a word.
type silent struct {
	name string
	caps []connectorv1.Capability
	want map[instant]domain.ExportStatus
}

// diesAt returns false if the first attempt didn't get as far as the instant.
func (tc silent) diesAt(t *testing.T, at instant, end func(context.Context) error, timeout time.Duration) bool {
	w, _ := onPostgres(t)
	p := newERP(tc.caps...)
	reached := dying(p, at, end)
	exports := w.accept(w.connection(), 1)
	o := w.options(registry{erpType: p})
	o.Knobs.AttemptTimeout, o.Knobs.LeaseGrace = timeout, 300*time.Millisecond
	w.run(o)
	if !<-reached {
		return false
	}
	want := tc.want[at]
	got := w.await(want, exports...)[0]
	attempts, visible := "LOST DELIVERED", 1
	if want == domain.Failed {
		attempts = "LOST"
		if at != afterVisible {
			visible = 0
		}
		if got.Error.Code != port.OutcomeUnknown {
			t.Errorf("error %+v", got.Error)
		}
	}
	if w.outcomes(got) != attempts {
		t.Errorf("attempts %s, want %s", w.outcomes(got), attempts)
	}
	p.verify(t, visible, got.ID)
	return true
}

// dying makes the first attempt end at an instant. The channel says whether it
// got there before its time was up.
func dying(p *erp, at instant, end func(context.Context) error) (reached <-chan bool) {
	got := make(chan bool, 1)
	var once sync.Once
	say := func(there bool) { once.Do(func() { got <- there }) }
	p.deliver = func(ctx context.Context, start *connectorv1.ExportStart, sink connector.Sink) (*connectorv1.ExportResult, error) {
		id := start.GetExportId()
		if start.GetAttempt() > 1 {
			say(false)
			return p.honest(ctx, start, sink)
		}
		if at == afterPayload {
			if _, err := sink.StorePayload(ctx, "order_"+id+".json", []byte(`{}`)); err != nil {
				say(false)
				return nil, err
			}
		}
		if at == afterSave || at == afterVisible {
			if refused := p.stage(ctx, id, sink); refused != nil {
				say(false)
				return &connectorv1.ExportResult{Error: refused}, nil
			}
		}
		if at == afterVisible {
			p.publish(id)
		}
		say(ctx.Err() == nil)
		return nil, end(ctx)
	}
	return got
}
