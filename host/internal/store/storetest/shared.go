package storetest

import (
	"errors"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// sharedTests run with two stores on one database, as two hosts have.
var sharedTests = map[string]func(a, b *World){
	"one order accepted by both gets one export": func(a, b *World) {
		for range 10 {
			order := a.Order()
			answers := together(a.T, 8, func(i int) store.Accepted { return pick(i, a, b).acceptOne(Again(order)) })
			oneCreated(a.T, answers)
		}
	},
	"the same batch, in another order, is accepted by both without a deadlock": func(a, b *World) {
		batch := make([]store.Acceptance, 100)
		for i := range batch {
			batch[i] = a.Order()
		}
		backwards := make([]store.Acceptance, len(batch))
		for i := range batch {
			backwards[len(batch)-1-i] = Again(batch[i])
		}
		created := 0
		for _, answers := range together(a.T, 2, func(i int) []store.Accepted {
			answers, err := pick(i, a, b).S.Accept(a.Ctx, [][]store.Acceptance{batch, backwards}[i])
			if err != nil {
				a.T.Errorf("accept: %v", err)
			}
			return answers
		}) {
			for _, answer := range answers {
				a.must(answer.Err)
				if answer.Created {
					created++
				}
			}
		}
		want(a.T, "created", created, len(batch))
	},
	"keys that cross over are accepted without a deadlock": func(a, b *World) {
		first, second := a.Order(), a.Order()
		first.Export.IdempotencyKey, second.Export.IdempotencyKey = "key-1", "key-2"
		crossedFirst, crossedSecond := a.Order(), a.Order()
		crossedFirst.Export.IdempotencyKey, crossedSecond.Export.IdempotencyKey = "key-2", "key-1"
		batches := [][]store.Acceptance{{first, second}, {crossedFirst, crossedSecond}}
		created := 0
		for _, answers := range together(a.T, 2, func(i int) []store.Accepted {
			answers, err := pick(i, a, b).S.Accept(a.Ctx, batches[i])
			if err != nil {
				a.T.Errorf("accept: %v", err)
			}
			return answers
		}) {
			for _, answer := range answers {
				if answer.Created {
					created++
				}
			}
		}
		want(a.T, "created", created, 2)
	},
	"eight workers of two hosts never claim one export twice": func(a, b *World) {
		const n = 200
		a.AcceptN(n)
		b.Host = b.NewHost("host-b")
		want(a.T, "claimed", len(claimAll(a, 8, func(i int) *World { return pick(i, a, b) })), n)
	},
	"a host that is taken over is fenced by the other": func(a, b *World) {
		e := a.ClaimOne()
		b.Host = b.NewHost("host-b")
		a.must(b.S.StopHost(b.Ctx, a.Host))
		lost := b.lost(alive)
		want(b.T, "lost", len(lost), 1)
		b.reclaim(lost[0])
		current := b.Claim(1)[0].Export
		a.wantFenced(e)
		b.Finish(Delivered(current))
		want(a.T, "status", a.Get(e.ID).Status, domain.Sent)
	},
	"of a delivery and a takeover at the same moment one wins": func(a, b *World) {
		for range 20 {
			e := a.ClaimOne()
			results := together(a.T, 2, func(i int) error {
				f := Delivered(e)
				write := a.S.FinishAll
				if i == 1 {
					f, write = lostEnd(e), b.S.Reclaim
				}
				errs, err := write(a.Ctx, []store.Finish{f})
				return errors.Join(append(errs, err)...)
			})
			want(a.T, "one wins", (results[0] == nil) != (results[1] == nil), true)
			status := a.Get(e.ID).Status
			want(a.T, "delivered", status == domain.Sent, results[0] == nil)
			if status == domain.Pending {
				a.Finish(Delivered(a.Claim(1)[0].Export))
			}
		}
	},
	"an ack and the end of its attempt at the same moment leave the ack's state": func(a, b *World) {
		for range 20 {
			e := a.ClaimOne()
			a.wantSaved(saveOf(e, store.Save{ExternalRef: Ref(e)}))
			together(a.T, 2, func(i int) error {
				if i == 0 {
					a.Finish(Delivered(e))
				} else {
					b.ack(store.AckApplied, positive(e, "SO-1"))
				}
				return nil
			})
			got := a.Get(e.ID)
			want(a.T, "status", got.Status, domain.Acked)
			want(a.T, "lease", got.Lease, nil)
			want(a.T, "number", got.ERPOrderID, "SO-1")
		}
	},
	"the same acks applied by both at once are applied once": func(a, b *World) {
		acks := a.acksFor(300)
		backwards := make([]store.Ack, len(acks))
		for i := range acks {
			backwards[len(acks)-1-i] = acks[i]
		}
		rounds := together(a.T, 2, func(i int) []store.AckVerdict {
			return pick(i, a, b).acks([][]store.Ack{acks, backwards}[i]...)
		})
		for i, j := 0, len(rounds[1])-1; i < j; i, j = i+1, j-1 {
			rounds[1][i], rounds[1][j] = rounds[1][j], rounds[1][i]
		}
		wantOnce(a, rounds)
	},
}

func pick(i int, a, b *World) *World {
	if i%2 == 0 {
		return a
	}
	return b
}
