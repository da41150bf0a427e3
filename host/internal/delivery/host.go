package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
)

// incarnation is one registration of this host. When it is declared dead, its
// attempts are fenced by the database and cut short here, and the host goes on
// as another one.
type incarnation struct {
	id     uuid.UUID
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (h *incarnation) deposed() bool { return errors.Is(context.Cause(h.ctx), errDeposed) }

// partingTime is how long an attempt may go on whose host was declared dead.
const partingTime = 2 * time.Second

// life returns a context that ends with the incarnation. Where a stale attempt
// can do no harm it ends a little later if the host was declared dead: until
// then the attempt is refused its checkpoint, knows by that what is void, and
// takes away what it has left at the target. One that is cut off can't know.
func (h *incarnation) life(fenced bool) (context.Context, context.CancelFunc) {
	if !fenced {
		return context.WithCancel(h.ctx)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(h.ctx))
	stop := context.AfterFunc(h.ctx, func() {
		cause := context.Cause(h.ctx)
		if !errors.Is(cause, errDeposed) {
			cancel(cause)
			return
		}
		time.AfterFunc(partingTime, func() { cancel(cause) })
	})
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

func (e *Engine) register(ctx context.Context, id uuid.UUID) error {
	now := time.Now().UTC()
	err := e.o.Store.RegisterHost(ctx, domain.HostNode{
		ID: id, Name: e.o.HostName, Version: e.o.Version, ConnectorTypes: e.o.Registry.Types(),
		StartedAt: now, HeartbeatAt: now,
	})
	if err != nil {
		return fmt.Errorf("register host: %w", err)
	}
	host := &incarnation{id: id}
	host.ctx, host.cancel = context.WithCancelCause(context.Background())
	if old := e.host.Swap(host); old != nil {
		old.cancel(errDeposed)
	}
	e.o.Registered(id)
	return nil
}

// beat keeps the host alive in the database and takes over from the dead.
//
// Who counts as dead, see judge.
func (e *Engine) beat(ctx context.Context) {
	ticker := time.NewTicker(e.o.Knobs.BeatEvery)
	defer ticker.Stop()
	var beaten, counted time.Time
	judge := judge{deadAfter: e.o.Knobs.DeadAfter}
	for {
		beaten = time.Now()
		if err := e.beatOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			if judge.failed() {
				e.log.Error("heartbeat failed; going on until it works", "error", err)
			}
			e.unreachable.Store(&err)
		} else {
			e.unreachable.Store(nil)
			if beaten.Sub(counted) >= e.o.Knobs.DeadAfter {
				e.countHosts(ctx)
				counted = beaten
			}
			silence, judges := judge.reached(time.Now())
			e.takeOver(ctx, takeover{beaten: beaten, silence: silence, judges: judges})
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Unreachable returns why the last heartbeat could not be written, or nil.
func (e *Engine) Unreachable() error {
	if err := e.unreachable.Load(); err != nil {
		return *err
	}
	return nil
}

func (e *Engine) beatOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	host := e.host.Load()
	alive, err := e.o.Store.Heartbeat(ctx, host.id, e.o.Registry.Types())
	if err != nil || alive {
		return err
	}
	e.log.Warn("this host was declared dead; its attempts are void, it goes on under a new id", "host", host.id)
	host.cancel(errDeposed)
	return e.register(ctx, uuid.New())
}

func (e *Engine) isStopping() bool { return e.working.Err() != nil }

func isNotFound(err error) bool {
	return err != nil && fault.From(err).Kind == fault.NotFound
}
