package pluginhost

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
)

// isolate is an extra process of one connector type, for exports that may kill
// their connector. It is started when it is needed, runs one call at a time,
// and is stopped when it has been idle for a while.
type isolate struct {
	host          *Host
	connectorType string
	turn          chan struct{} // holds one token: whoever has it owns inst

	inst atomic.Pointer[instance] // nil: no process; changed with the turn only
	unit *unit                    // the binary of the last call; belongs to the turn

	mu     sync.Mutex
	idle   *time.Timer
	closed bool
}

func newIsolate(h *Host, connectorType string) *isolate {
	i := &isolate{host: h, connectorType: connectorType, turn: make(chan struct{}, 1)}
	i.turn <- struct{}{}
	return i
}

// with runs one call when it is its turn.
func (i *isolate) with(ctx context.Context, config []byte, call func(context.Context, *instance) error) error {
	select {
	case <-i.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer i.pass()
	inst, err := i.ready(ctx)
	if err != nil {
		return err
	}
	err = i.host.run(ctx, inst, config, call)
	if inst.hasAnswered() {
		i.unit.proven.Store(true)
	}
	var lost *notSentError
	if errors.As(err, &lost) {
		return i.unavailable(lost)
	}
	return err
}

// ready returns a living process of the binary that is registered now, which
// the call has entered. It needs the turn.
func (i *isolate) ready(ctx context.Context) (*instance, error) {
	i.mu.Lock()
	closed := i.closed
	if i.idle != nil {
		i.idle.Stop()
	}
	i.mu.Unlock()
	if closed {
		return nil, i.unavailable(errStopped)
	}
	u, err := i.host.routes.Load().find(i.connectorType)
	if err != nil {
		return nil, i.unavailable(err)
	}
	i.unit = u
	u.mu.Lock()
	active, reason := u.active, u.unavailable()
	u.mu.Unlock()
	if active == nil {
		return nil, reason
	}
	if inst := i.inst.Load(); inst != nil && (inst.id.sha256 != active.id.sha256 || ended(inst.proc, 0)) {
		i.end("replaced")
	}
	if i.inst.Load() == nil {
		if err := i.start(ctx, u.file, active); err != nil {
			return nil, err
		}
	}
	inst := i.inst.Load()
	inst.enter()
	return inst, nil
}

func (i *isolate) start(ctx context.Context, file string, b *binary) error {
	startCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.host.ctx, cancel)()
	inst, err := i.host.start(startCtx, file, b.img)
	switch {
	case err == nil:
		i.inst.Store(inst)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return i.unavailable(err)
}

func (i *isolate) unavailable(err error) error {
	return &connector.UnavailableError{Type: i.connectorType, Reason: err.Error()}
}

// end stops the process. It needs the turn.
func (i *isolate) end(reason string) {
	if inst := i.inst.Swap(nil); inst != nil {
		inst.end(i.host, reason)
	}
}

// pass gives the turn to the next call.
func (i *isolate) pass() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.inst.Load() != nil && !i.closed {
		if i.idle != nil {
			i.idle.Stop()
		}
		i.idle = time.AfterFunc(i.host.opts.Limits.Idle, i.rest)
	}
	i.turn <- struct{}{}
}

// rest stops the process if nobody uses it just now.
func (i *isolate) rest() {
	select {
	case <-i.turn:
		i.end("idle")
		i.turn <- struct{}{}
	default:
	}
}

// close stops the process for good. A call under way may end until the host's
// stop runs out of time.
func (i *isolate) close() {
	i.mu.Lock()
	i.closed = true
	if i.idle != nil {
		i.idle.Stop()
	}
	i.mu.Unlock()
	select {
	case <-i.turn:
	case <-i.host.halted:
		if inst := i.inst.Load(); inst != nil {
			inst.proc.Kill("host stops it")
		}
		<-i.turn
	}
	i.end("host stops it")
	i.turn <- struct{}{}
}
