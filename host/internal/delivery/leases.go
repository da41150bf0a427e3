package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// leases knows which exports this host runs, so that it can tell when the
// database believes that it runs more. That happens when a claim is committed
// and its answer is lost: the host lives, so nobody would take those over until
// their leases are long expired.
type leases struct {
	// claiming is held shared from asking for work until what came is in held.
	claiming sync.RWMutex

	mu   sync.Mutex
	held map[uuid.UUID]int // guarded by mu: attempt by export
	// doubt says that a claim has failed, and strays have to be looked for.
	doubt bool // guarded by mu
}

func (l *leases) note(claimed []store.Claimed, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubt = l.doubt || failed
	if l.held == nil {
		l.held = make(map[uuid.UUID]int)
	}
	for _, c := range claimed {
		l.held[c.Export.ID] = c.Export.AttemptCount
	}
}

func (l *leases) release(e domain.Export) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[e.ID] == e.AttemptCount {
		delete(l.held, e.ID)
	}
}

// holds says that this host is at the export's attempt: it runs, or its result
// is being recorded.
func (l *leases) holds(e domain.Export) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[e.ID] == e.AttemptCount
}

func (l *leases) inDoubt() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doubt
}

// strays returns which of the leased exports this host does not run.
func (l *leases) strays(leased []domain.Export) []domain.Export {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubt = false
	var strays []domain.Export
	for _, e := range leased {
		if l.held[e.ID] != e.AttemptCount {
			strays = append(strays, e)
		}
	}
	return strays
}

// claimOpts say what to claim.
type claimOpts struct {
	limit    int
	after    store.Place // the place in line to begin behind
	suspects bool
}

// claim asks the store for work, and is not ok if that failed, which it logs. It
// is not cut short by Stop: what was claimed is to be run.
func (e *Engine) claim(host *incarnation, conn domain.Connection, o claimOpts) (claimed []store.Claimed, ok bool) {
	e.leases.claiming.RLock()
	defer e.leases.claiming.RUnlock()
	ctx, cancel := context.WithTimeout(e.recording, callTimeout)
	defer cancel()
	asked := time.Now()
	claimed, err := e.o.Store.Claim(ctx, store.ClaimRequest{
		HostID: host.id, ConnectionID: conn.ID, AsOf: conn.UpdatedAt,
		Limit: o.limit, After: o.after, SuspectsOnly: o.suspects,
		Lease: e.o.Knobs.AttemptTimeout + e.o.Knobs.LeaseGrace,
	})
	if err == nil && time.Since(asked) > e.o.Knobs.DeadAfter {
		err = e.stillHolds(ctx, host)
	}
	e.leases.note(claimed, err != nil)
	if err != nil {
		e.log.Warn("claim failed; tried again", "connection", conn.ID, "error", err)
		return nil, false
	}
	return claimed, true
}

// stillHolds returns an error unless this host lives on. A claim whose answer
// took as long as it takes to be declared dead may have been taken over
// meanwhile; an attempt that began now would leave at the target what the one
// that took over has already looked for.
func (e *Engine) stillHolds(ctx context.Context, host *incarnation) error {
	alive, err := e.o.Store.Heartbeat(ctx, host.id, e.o.Registry.Types())
	if err == nil && !alive {
		err = errDeposed
	}
	return err
}

// giveBackStrays returns what this host was given and does not know of. Those
// attempts have never begun.
func (e *Engine) giveBackStrays() error {
	if !e.leases.inDoubt() {
		return nil
	}
	e.leases.claiming.Lock()
	defer e.leases.claiming.Unlock()
	ctx, cancel := context.WithTimeout(e.recording, callTimeout)
	defer cancel()
	host := e.hostID()
	leased, err := e.o.Store.Leased(ctx, host)
	if err != nil {
		return fmt.Errorf("look for strays: %w", err)
	}
	strays := e.leases.strays(leased)
	if len(strays) == 0 {
		return nil
	}
	const message = "the attempt did not begin: the database's answer was lost"
	finishes := make([]store.Finish, len(strays))
	for i, stray := range strays {
		finishes[i] = deferred(exportError(port.Internal, message, true), 0).finish
		finishes[i].ExportID, finishes[i].HostID, finishes[i].Attempt = stray.ID, host, stray.AttemptCount
	}
	if _, err := e.o.Store.FinishAll(ctx, finishes); err != nil {
		e.leases.note(nil, true)
		return fmt.Errorf("give back strays: %w", err)
	}
	e.log.Info("gave back exports whose claim was not answered", "exports", len(strays))
	return nil
}
