package storetest

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

// alive is a heartbeat age that no host of a test reaches.
const alive = time.Hour

var lostTests = map[string]func(w *World){
	"nothing is lost while the host lives": func(w *World) {
		w.ClaimOne()
		want(w.T, "lost", len(w.lost(alive)), 0)
	},
	"a stopped host's exports are lost at once": func(w *World) {
		e := w.ClaimOne()
		w.must(w.S.StopHost(w.Ctx, w.Host))
		lost := w.lost(alive)
		want(w.T, "lost", len(lost), 1)
		same(w.T, lost[0], e)
	},
	"a host without heartbeat is declared dead and its exports are lost": func(w *World) {
		e := w.ClaimOne()
		lost := w.lost(-time.Minute) // even a heartbeat of this moment is too old
		want(w.T, "lost", len(lost), 1)
		want(w.T, "export", lost[0].ID, e.ID)
		ok, err := w.S.Heartbeat(w.Ctx, w.Host, nil)
		w.must(err)
		want(w.T, "alive", ok, false)
		wantFault(w.T, w.S.RegisterHost(w.Ctx, domain.HostNode{ID: w.Host, Name: "host-a"}), fault.Conflict, "host_stopped")
		want(w.T, "claims", len(w.Claim(1)), 0)
	},
	"an attempt that overran its lease by more than a minute is lost, its host is not": func(w *World) {
		w.AcceptN(2)
		w.claimWithLease(-2 * time.Minute)
		w.claimWithLease(-30 * time.Second) // the grace is not over yet
		want(w.T, "lost", len(w.lost(alive)), 1)
		ok, err := w.S.Heartbeat(w.Ctx, w.Host, nil)
		w.must(err)
		want(w.T, "alive", ok, true)
	},
	"no more are returned than asked for": func(w *World) {
		w.AcceptN(5)
		w.Claim(5)
		w.must(w.S.StopHost(w.Ctx, w.Host))
		lost, err := w.S.Lost(w.Ctx, alive, []string{connectorType}, 3)
		w.must(err)
		want(w.T, "lost", len(lost), 3)
	},
	"exports whose connector type was not asked for leave room for those whose was": func(w *World) {
		other := w.NewConn(w.Org.ID, "OTHER_V1")
		for range 2 {
			w.Accept(w.OrderFor(other))
		}
		req := w.Request(2)
		req.ConnectionID = other.ID
		_, err := w.S.Claim(w.Ctx, req)
		w.must(err)
		mine := w.ClaimOne()
		w.must(w.S.StopHost(w.Ctx, w.Host))
		lost, err := w.S.Lost(w.Ctx, alive, []string{connectorType}, 1)
		w.must(err)
		want(w.T, "lost", len(lost), 1)
		want(w.T, "export", lost[0].ID, mine.ID)
		lost, err = w.S.Lost(w.Ctx, alive, nil, 10)
		w.must(err)
		want(w.T, "lost of no type", len(lost), 0)
	},
	"exports that ended are not lost": func(w *World) {
		w.Finish(Delivered(w.ClaimOne()))
		w.Finish(Ended(w.ClaimOne(), domain.OutcomeDeferred, domain.Pending))
		w.must(w.S.StopHost(w.Ctx, w.Host))
		want(w.T, "lost", len(w.lost(alive)), 0)
	},
	"a reclaimed export runs again and its old attempt is fenced": func(w *World) {
		e := w.ClaimOne()
		w.wantSaved(saveOf(e, store.Save{Checkpoint: []byte("staged")}))
		w.must(w.S.StopHost(w.Ctx, w.Host))
		w.reclaim(e)
		want(w.T, "lost", len(w.lost(alive)), 0)
		w.wantFenced(e)
		want(w.T, "outcome", w.lastAttempt(e.ID).Outcome, domain.OutcomeLost)
		w.Host = w.NewHost("host-b")
		again := w.Claim(1)[0].Export
		want(w.T, "export", again.ID, e.ID)
		want(w.T, "attempt", again.AttemptCount, 2)
		same(w.T, again.Checkpoint, []byte("staged"))
		w.wantFenced(e)
	},
	"a reclaimed export comes before a backlog": func(w *World) {
		e := w.ClaimOne()
		w.AcceptN(20)
		w.must(w.S.StopHost(w.Ctx, w.Host))
		w.reclaim(e)
		w.Host = w.NewHost("host-b")
		want(w.T, "export", w.Claim(1)[0].Export.ID, e.ID)
	},
	"a reclaim that comes too late is fenced": func(w *World) {
		e := w.ClaimOne()
		w.must(w.S.StopHost(w.Ctx, w.Host))
		w.Finish(Delivered(e)) // the host was slow, not dead
		errs, err := w.S.Reclaim(w.Ctx, []store.Finish{Ended(e, domain.OutcomeLost, domain.Pending)})
		w.must(err)
		want(w.T, "fenced", errors.Is(errs[0], store.ErrFenced), true)
		want(w.T, "status", w.Get(e.ID).Status, domain.Sent)
	},
	"a reclaim that is repeated answers the same": func(w *World) {
		e := w.ClaimOne()
		w.must(w.S.StopHost(w.Ctx, w.Host))
		w.reclaim(e)
		before := w.Get(e.ID)
		w.reclaim(e)
		same(w.T, w.Get(e.ID), before)
	},
	"the lost attempt of an export that an ack has ended is still to be reclaimed": func(w *World) {
		e := w.ClaimOne()
		w.wantSaved(saveOf(e, store.Save{ExternalRef: Ref(e)}))
		w.ack(store.AckApplied, positive(e, "SO-1"))
		w.must(w.S.StopHost(w.Ctx, w.Host))
		lost := w.lost(alive)
		want(w.T, "lost", len(lost), 1)
		want(w.T, "status", lost[0].Status, domain.Acked)
		w.reclaim(e)
		want(w.T, "status", w.Get(e.ID).Status, domain.Acked)
		want(w.T, "lost", len(w.lost(alive)), 0)
	},
}

func (w *World) lost(deadAfter time.Duration) []domain.Export {
	w.T.Helper()
	lost, err := w.S.Lost(w.Ctx, deadAfter, []string{connectorType}, 100)
	w.must(err)
	return lost
}

func (w *World) claimWithLease(lease time.Duration) {
	w.T.Helper()
	req := w.Request(1)
	req.Lease = lease
	claimed, err := w.S.Claim(w.Ctx, req)
	w.must(err)
	want(w.T, "claimed", len(claimed), 1)
}

// reclaim gives a lost export back to the queue.
func (w *World) reclaim(e domain.Export) {
	w.T.Helper()
	errs, err := w.S.Reclaim(w.Ctx, []store.Finish{Ended(e, domain.OutcomeLost, domain.Pending)})
	w.must(err)
	w.must(errors.Join(errs...))
}

var hostTests = map[string]func(w *World){
	"a host is listed while it lives and after it stopped": func(w *World) {
		list, err := w.S.ListHosts(w.Ctx)
		w.must(err)
		want(w.T, "hosts", len(list), 1)
		h := list[0]
		want(w.T, "id", h.ID, w.Host)
		want(w.T, "name", h.Name, "host-a")
		want(w.T, "version", h.Version, "test")
		same(w.T, h.ConnectorTypes, []string{connectorType})
		want(w.T, "stopped", h.StoppedAt, nil)
		for range 2 { // stopping is repeatable
			w.must(w.S.StopHost(w.Ctx, w.Host))
		}
		list, err = w.S.ListHosts(w.Ctx)
		w.must(err)
		want(w.T, "stopped", list[0].StoppedAt != nil, true)
	},
	"a heartbeat is recorded with the types that the host offers": func(w *World) {
		before, err := w.S.ListHosts(w.Ctx)
		w.must(err)
		ok, err := w.S.Heartbeat(w.Ctx, w.Host, []string{"A", "B"})
		w.must(err)
		want(w.T, "alive", ok, true)
		after, err := w.S.ListHosts(w.Ctx)
		w.must(err)
		same(w.T, after[0].ConnectorTypes, []string{"A", "B"})
		want(w.T, "beats", after[0].HeartbeatAt.After(before[0].HeartbeatAt), true)
	},
	"a host that is not registered is not alive": func(w *World) {
		ok, err := w.S.Heartbeat(w.Ctx, uuid.New(), nil)
		w.must(err)
		want(w.T, "alive", ok, false)
	},
	"registering again is fine until the host has stopped": func(w *World) {
		h := domain.HostNode{ID: w.Host, Name: "host-a2", Version: "test"}
		w.must(w.S.RegisterHost(w.Ctx, h))
		w.must(w.S.StopHost(w.Ctx, w.Host))
		wantFault(w.T, w.S.RegisterHost(w.Ctx, h), fault.Conflict, "host_stopped")
	},
	"the database answers": func(w *World) { w.must(w.S.Ping(w.Ctx)) },
}
