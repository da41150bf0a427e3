package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
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
	return nil
}

// forever is a time after which nobody is dead: it makes Lost return only what
// hosts that are known to be stopped have left.
const forever = 365 * 24 * time.Hour

// beat keeps the host alive in the database and takes over from the dead.
//
// Others count as dead only after this host itself has reached the database for
// as long as they must have been silent: when the database comes back after an
// outage, everybody's last heartbeat is old.
func (e *Engine) beat(ctx context.Context) {
	ticker := time.NewTicker(e.o.Knobs.BeatEvery)
	defer ticker.Stop()
	var reachedSince, beaten time.Time
	for {
		beaten = time.Now()
		if err := e.beatOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			if !reachedSince.IsZero() {
				e.log.Error("heartbeat failed; going on until it works", "error", err)
			}
			reachedSince = time.Time{}
		} else {
			if reachedSince.IsZero() {
				reachedSince = beaten
			}
			deadAfter := e.o.Knobs.DeadAfter
			if beaten.Sub(reachedSince) < deadAfter {
				deadAfter = forever
			}
			e.takeOver(ctx, deadAfter, beaten)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
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

// lostPage is how many lost exports are taken over in one transaction.
const lostPage = 500

// takeOver plans anew what dead hosts were at. beaten is when this host's last
// heartbeat began.
func (e *Engine) takeOver(ctx context.Context, deadAfter time.Duration, beaten time.Time) {
	if e.isStopping() {
		return
	}
	for {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		lost, taken, err := e.takeOverPage(callCtx, deadAfter, beaten)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("takeover failed; it is tried again", "error", err)
			}
			return
		}
		if taken > 0 {
			e.o.Observer.TakenOver(taken)
			e.log.Info("took over exports of dead hosts", "exports", taken)
		}
		if lost < lostPage || taken == 0 {
			return
		}
	}
}

func (e *Engine) takeOverPage(ctx context.Context, deadAfter time.Duration, beaten time.Time) (lost, taken int, err error) {
	exports, err := e.o.Store.Lost(ctx, deadAfter, e.o.Registry.Types(), lostPage)
	if err != nil || len(exports) == 0 {
		return 0, 0, err
	}
	var finishes []store.Finish
	var reclaimed []domain.Export
	ahead := time.Duration(-1)
	for _, export := range exports {
		p, err := e.o.Registry.Get(export.ConnectorType)
		if err != nil || export.Lease == nil {
			continue // the connector has just gone
		}
		caps := capabilitiesOf(p.Describe())
		var left time.Duration
		if caps.resume && !caps.fenced {
			if ahead == -1 {
				ahead = e.databaseAhead(ctx, beaten)
			}
			left = time.Until(export.Lease.ExpiresAt.Add(-ahead))
		}
		finish := e.rules.reclaim(export, caps, left)
		finish.ExportID, finish.HostID, finish.Attempt = export.ID, export.Lease.HostID, export.AttemptCount
		finishes, reclaimed = append(finishes, finish), append(reclaimed, export)
	}
	if len(finishes) == 0 {
		return len(exports), 0, nil
	}
	errs, err := e.o.Store.Reclaim(ctx, finishes)
	if err != nil {
		return len(exports), 0, err
	}
	for i, export := range reclaimed {
		if errs[i] == nil {
			taken++
			e.look(export.ConnectionID, lookOpts{suspects: export.CrashCount > 0})
		}
	}
	return len(exports), taken, nil
}

// databaseAhead is by how much the database's clock is ahead of this host's:
// leases are in its time. Unknown counts as equal.
func (e *Engine) databaseAhead(ctx context.Context, beaten time.Time) time.Duration {
	hosts, err := e.o.Store.ListHosts(ctx)
	if err != nil {
		return 0
	}
	for _, host := range hosts {
		if host.ID == e.hostID() {
			return host.HeartbeatAt.Sub(beaten)
		}
	}
	return 0
}

func (e *Engine) isStopping() bool { return e.working.Err() != nil }

func isNotFound(err error) bool {
	return err != nil && fault.From(err).Kind == fault.NotFound
}
