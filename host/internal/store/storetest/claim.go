package storetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

var claimTests = map[string]func(w *World){
	"a claim leases the export and records the attempt": func(w *World) {
		order := w.Order()
		w.Accept(order)
		claimed := w.Claim(10)
		want(w.T, "claimed", len(claimed), 1)
		e := claimed[0].Export
		same(w.T, claimed[0].Order, order.Draft.Content)
		want(w.T, "attempt", e.AttemptCount, 1)
		want(w.T, "lease host", e.Lease.HostID, w.Host)
		want(w.T, "lease expires", e.Lease.ExpiresAt.After(e.UpdatedAt), true)
		want(w.T, "organization", e.OrgSlug, w.Org.Slug)
		want(w.T, "next attempt", e.NextAttemptAt, nil)
		same(w.T, w.Get(e.ID), e)
		attempts, err := w.S.Attempts(w.Ctx, w.Org.ID, e.ID)
		w.must(err)
		want(w.T, "attempts", len(attempts), 1)
		a := attempts[0]
		same(w.T, a, domain.Attempt{
			ExportID: e.ID, Number: 1, HostID: w.Host, HostName: "host-a", StartedAt: a.StartedAt, Outcome: domain.OutcomeRunning,
		})
	},
	"a leased export is not claimed again": func(w *World) {
		w.ClaimOne()
		want(w.T, "claimed", len(w.Claim(10)), 0)
	},
	"the oldest are claimed first, up to the limit": func(w *World) {
		var ids []uuid.UUID
		for i := range 5 {
			order := w.Order()
			order.Export.CreatedAt = now().Add(-time.Duration(i) * time.Minute)
			ids = append(ids, w.Accept(order)[0].ID)
		}
		for _, batch := range [][]uuid.UUID{{ids[4], ids[3]}, {ids[2], ids[1]}, {ids[0]}, {}} {
			got := []uuid.UUID{}
			for _, c := range w.Claim(2) {
				got = append(got, c.Export.ID)
			}
			same(w.T, got, batch)
		}
	},
	"an export created by a clock that is ahead is due at once": func(w *World) {
		order := w.Order()
		order.Export.CreatedAt = now().Add(time.Hour)
		w.Accept(order)
		want(w.T, "claimed", len(w.Claim(1)), 1)
	},
	"a claim can begin behind the last one, and what is due again comes from the start": func(w *World) {
		w.AcceptN(6)
		first := w.Claim(2)
		behind := func(p store.Place, limit int) []store.Claimed {
			claimed, err := w.S.Claim(w.Ctx, store.ClaimRequest{
				HostID: w.Host, ConnectionID: w.Conn.ID, Limit: limit, Lease: time.Minute, After: p,
			})
			w.must(err)
			return claimed
		}
		w.Finish(Ended(first[0].Export, domain.OutcomeDeferred, domain.Pending))
		second := behind(first[1].Place, 2)
		want(w.T, "claimed behind the first two", len(second), 2)
		rest := behind(second[1].Place, 10)
		want(w.T, "claimed behind the first four", len(rest), 2)
		want(w.T, "behind the last", len(behind(rest[1].Place, 10)), 0)
		again := behind(store.Place{}, 10)
		want(w.T, "due again", len(again), 1)
		want(w.T, "due again", again[0].Export.ID, first[0].Export.ID)
		want(w.T, "in its old place", again[0].Place, first[0].Place)
	},
	"another connection's exports are left alone": func(w *World) {
		w.Accept(w.OrderFor(w.NewConn(w.Org.ID, "SAP_RFC")))
		want(w.T, "claimed", len(w.Claim(1)), 0)
	},
	"a connection that was changed since it was read gives nothing": func(w *World) {
		w.Accept(w.Order())
		asOf := func(at time.Time) int {
			req := w.Request(10)
			req.AsOf = at
			claimed, err := w.S.Claim(w.Ctx, req)
			w.must(err)
			return len(claimed)
		}
		before, err := w.S.ConnectionByID(w.Ctx, w.Conn.ID)
		w.must(err)
		after, err := w.S.UpdateConfig(w.Ctx, w.Org.ID, w.Conn.ID, before.Sealed, w.audit(w.Org.ID, "connection.update"))
		w.must(err)
		want(w.T, "claimed as of before", asOf(before.UpdatedAt), 0)
		disabled, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, domain.Disabled, w.audit(w.Org.ID, "connection.disable"))
		w.must(err)
		want(w.T, "claimed while enabled, so it was thought", asOf(after.UpdatedAt), 0)
		want(w.T, "claimed while disabled", asOf(disabled.UpdatedAt), 0)
		enabled, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, domain.Active, w.audit(w.Org.ID, "connection.enable"))
		w.must(err)
		want(w.T, "claimed as it is now", asOf(enabled.UpdatedAt), 1)
	},
	"an export that waits for its next attempt is not claimed": func(w *World) {
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeRetry, domain.Pending)
		f.NextAttemptIn = time.Hour
		w.Finish(f)
		want(w.T, "claimed", len(w.Claim(1)), 0)
		want(w.T, "waits", w.Get(e.ID).NextAttemptAt.After(time.Now().Add(50*time.Minute)), true)
	},
	"an export that is due again at once keeps its place": func(w *World) {
		w.AcceptN(2)
		first := w.Claim(1)[0].Export
		w.Finish(Ended(first, domain.OutcomeDeferred, domain.Pending))
		again := w.Claim(1)[0].Export
		want(w.T, "claimed", again.ID, first.ID)
		want(w.T, "attempt", again.AttemptCount, 2)
	},
	"exports that have crashed a connector are claimed apart": func(w *World) {
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeLost, domain.Pending)
		f.CountsCrash = true
		w.Finish(f)
		regular := w.AcceptN(1)[0]
		suspects := w.Request(10)
		suspects.SuspectsOnly = true
		claimed, err := w.S.Claim(w.Ctx, suspects)
		w.must(err)
		want(w.T, "suspects", len(claimed), 1)
		want(w.T, "suspect", claimed[0].Export.ID, e.ID)
		claimed = w.Claim(10)
		want(w.T, "regular", len(claimed), 1)
		want(w.T, "regular", claimed[0].Export.ID, regular.ID)
	},
	"a host that has been stopped gets nothing": func(w *World) {
		w.AcceptN(1)
		w.must(w.S.StopHost(w.Ctx, w.Host))
		want(w.T, "claimed", len(w.Claim(1)), 0)
	},
	"nothing is claimed with limit zero": func(w *World) {
		w.AcceptN(1)
		want(w.T, "claimed", len(w.Claim(0)), 0)
	},
	"eight claim at once and never get one export twice": func(w *World) {
		const n = 200
		w.AcceptN(n)
		seen := claimAll(w, 8, func(int) *World { return w })
		want(w.T, "claimed", len(seen), n)
	},
	"connections are due while they have exports that can run": func(w *World) {
		w.wantDue()
		e := w.AcceptN(1)[0]
		w.wantDue(w.Conn.ID)
		claimed := w.Claim(1)[0].Export
		want(w.T, "claimed", claimed.ID, e.ID)
		w.wantDue() // leased
		f := Ended(claimed, domain.OutcomeRetry, domain.Pending)
		f.NextAttemptIn = time.Hour
		w.Finish(f)
		w.wantDue() // waits
		w.AcceptN(1)
		_, err := w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, domain.Disabled, w.audit(w.Org.ID, "connection.disable"))
		w.must(err)
		w.wantDue() // disabled
		_, err = w.S.SetConnectionStatus(w.Ctx, w.Org.ID, w.Conn.ID, domain.Active, w.audit(w.Org.ID, "connection.enable"))
		w.must(err)
		w.wantDue(w.Conn.ID)
		list, err := w.S.DueConnections(w.Ctx, []string{"SAP_RFC"})
		w.must(err)
		want(w.T, "due of another type", len(list), 0)
	},
	"each connection with due exports is listed once, also with suspects only": func(w *World) {
		var expected []uuid.UUID
		for range 5 {
			c := w.NewConn(w.NewOrg().ID, connectorType)
			w.Accept(w.OrderFor(c), w.OrderFor(c), w.OrderFor(c))
			expected = append(expected, c.ID)
		}
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeLost, domain.Pending)
		f.CountsCrash = true
		w.Finish(f)
		w.wantDue(append(expected, w.Conn.ID)...)
	},
	"in flight is every pending export that has been tried": func(w *World) {
		w.AcceptN(4)
		claimed := w.Claim(3)
		w.wantInFlight(3)
		w.Finish(Delivered(claimed[0].Export))
		w.wantInFlight(2)
		f := Ended(claimed[1].Export, domain.OutcomeRetry, domain.Pending)
		f.NextAttemptIn = time.Hour
		w.Finish(f, Ended(claimed[2].Export, domain.OutcomeDeferred, domain.Pending))
		w.wantInFlight(2)
		again := w.Claim(1)[0].Export
		want(w.T, "claimed again", again.ID, claimed[2].Export.ID)
		w.wantInFlight(2)
		w.wantSaved(saveOf(again, store.Save{ExternalRef: Ref(again)}))
		w.ack(store.AckApplied, positive(again, "SO-1"))
		w.wantInFlight(1)
	},
}

func (w *World) wantDue(ids ...uuid.UUID) {
	w.T.Helper()
	list, err := w.S.DueConnections(w.Ctx, []string{connectorType})
	w.must(err)
	got, expected := map[uuid.UUID]int{}, map[uuid.UUID]int{}
	for _, c := range list {
		got[c.ID]++
	}
	for _, id := range ids {
		expected[id]++
	}
	same(w.T, got, expected)
}

func (w *World) wantInFlight(n int) {
	w.T.Helper()
	got, err := w.S.InFlight(w.Ctx, w.Conn.ID)
	w.must(err)
	want(w.T, "in flight", got, n)
}

// claimAll lets n workers claim until nothing is left. It fails if an export
// is claimed twice.
func claimAll(w *World, n int, worker func(i int) *World) map[uuid.UUID]int {
	w.T.Helper()
	results := together(w.T, n, func(i int) []store.Claimed {
		mine := worker(i)
		var all []store.Claimed
		for {
			claimed, err := mine.S.Claim(mine.Ctx, mine.Request(7))
			if err != nil {
				mine.T.Errorf("claim: %v", err)
				return nil
			}
			if len(claimed) == 0 {
				return all
			}
			all = append(all, claimed...)
		}
	})
	seen := map[uuid.UUID]int{}
	for _, claimed := range results {
		for _, c := range claimed {
			seen[c.Export.ID]++
			want(w.T, "times claimed", seen[c.Export.ID], 1)
			want(w.T, "attempt", c.Export.AttemptCount, 1)
		}
	}
	return seen
}
