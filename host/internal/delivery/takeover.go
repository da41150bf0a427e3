package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// lostPage is how many lost exports are taken over in one transaction.
const lostPage = 500

// takeover is one look for what others have left.
type takeover struct {
	beaten time.Time // when this host's last heartbeat began
	// silence is how long a host must have been silent to be dead, if this one
	// judges that. Until then it takes over only from hosts that are known to be
	// stopped: who lives may be about to record a result.
	silence time.Duration
	judges  bool
}

// takeOver plans anew what dead hosts were at.
func (e *Engine) takeOver(ctx context.Context, t takeover) {
	if e.isStopping() {
		return
	}
	for {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		lost, taken, err := e.takeOverPage(callCtx, t)
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

func (e *Engine) takeOverPage(ctx context.Context, t takeover) (lost, taken int, err error) {
	exports, err := e.o.Store.Lost(ctx, t.silence, e.o.Registry.Types(), lostPage)
	if err != nil || len(exports) == 0 {
		return 0, 0, err
	}
	hosts, err := e.knownHosts(ctx)
	if err != nil {
		return len(exports), 0, err
	}
	var finishes []store.Finish
	var reclaimed []domain.Export
	for _, export := range exports {
		finish, ok := e.reclaim(export, hosts, t)
		if !ok {
			continue
		}
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

// reclaim says how a lost attempt ends. It says no if it is not this host's to
// end, or not yet.
func (e *Engine) reclaim(export domain.Export, hosts map[uuid.UUID]domain.HostNode, t takeover) (store.Finish, bool) {
	lease := export.Lease
	p, err := e.o.Registry.Get(export.ConnectorType)
	if err != nil || lease == nil {
		return store.Finish{}, false // the connector has just gone
	}
	if lease.HostID == e.hostID() && e.leases.holds(export) {
		return store.Finish{}, false // nobody knows better than we how it ends
	}
	host, known := hosts[lease.HostID]
	if lives := known && host.StoppedAt == nil; lives && !t.judges {
		return store.Finish{}, false
	}
	// Leases are in the database's time, which may be ahead of this host's.
	ahead := time.Duration(0)
	if me, ok := hosts[e.hostID()]; ok {
		ahead = me.HeartbeatAt.Sub(t.beaten)
	}
	left := time.Until(lease.ExpiresAt.Add(-ahead))
	finish := e.rules.reclaim(capabilitiesOf(p.Describe()), left, whyLost(host, known))
	finish.ExportID, finish.HostID, finish.Attempt = export.ID, lease.HostID, export.AttemptCount
	return finish, true
}

// whyLost says what is known of an attempt that ended without a result.
func whyLost(host domain.HostNode, known bool) string {
	switch {
	case !known:
		return "the host that ran the attempt is gone"
	case host.StoppedAt == nil:
		return fmt.Sprintf("the host %s did not record in time how the attempt ended", host.Name)
	default:
		return fmt.Sprintf("the host %s died, was stopped or was paused during the attempt; its last sign of life was at %s",
			host.Name, host.HeartbeatAt.Format(time.RFC3339))
	}
}

func (e *Engine) knownHosts(ctx context.Context) (map[uuid.UUID]domain.HostNode, error) {
	list, err := e.o.Store.ListHosts(ctx)
	if err != nil {
		return nil, err
	}
	hosts := make(map[uuid.UUID]domain.HostNode, len(list))
	for _, host := range list {
		hosts[host.ID] = host
	}
	return hosts, nil
}
