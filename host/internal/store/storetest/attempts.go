package storetest

import (
	"bytes"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

var attemptTests = map[string]func(w *World){
	"a save is kept, and later saves leave what they do not name": func(w *World) {
		e := w.ClaimOne()
		hash := bytes.Repeat([]byte{5}, 32)
		w.wantSaved(saveOf(e, store.Save{StorageKey: "exports/a", PayloadSize: 12, PayloadSHA256: hash}))
		w.wantSaved(saveOf(e, store.Save{Checkpoint: []byte("staged"), ExternalRef: "ref-1"}))
		got := w.Get(e.ID)
		want(w.T, "key", got.StorageKey, "exports/a")
		want(w.T, "size", got.PayloadSize, 12)
		same(w.T, got.PayloadSHA256, hash)
		same(w.T, got.Checkpoint, []byte("staged"))
		want(w.T, "ref", got.ExternalRef, "ref-1")
		w.wantSaved(saveOf(e, store.Save{Checkpoint: []byte{}}))
		same(w.T, w.Get(e.ID).Checkpoint, []byte{})
	},
	"saves of one attempt in one batch add up": func(w *World) {
		e := w.ClaimOne()
		w.wantSaved(
			saveOf(e, store.Save{StorageKey: "exports/a", PayloadSize: 1}),
			saveOf(e, store.Save{Checkpoint: []byte("one")}),
			saveOf(e, store.Save{Checkpoint: []byte("two"), ExternalRef: "ref-1"}))
		got := w.Get(e.ID)
		want(w.T, "key", got.StorageKey, "exports/a")
		same(w.T, got.Checkpoint, []byte("two"))
	},
	"a save that is repeated answers the same": func(w *World) {
		e := w.ClaimOne()
		save := saveOf(e, store.Save{Checkpoint: []byte("staged")})
		w.wantSaved(save)
		w.wantSaved(save)
	},
	"the checkpoint of a lost attempt is in the next claim": func(w *World) {
		e := w.ClaimOne()
		w.wantSaved(saveOf(e, store.Save{Checkpoint: []byte("staged"), StorageKey: "exports/a", PayloadSize: 3, PayloadSHA256: []byte{1}}))
		w.Finish(Ended(e, domain.OutcomeLost, domain.Pending))
		again := w.Claim(1)[0].Export
		same(w.T, again.Checkpoint, []byte("staged"))
		want(w.T, "key", again.StorageKey, "exports/a")
		want(w.T, "size", again.PayloadSize, 3)
	},
	"a save by another host or attempt is fenced, and only it": func(w *World) {
		w.AcceptN(3)
		claimed := w.Claim(3)
		saves := []store.Save{
			saveOf(claimed[0].Export, store.Save{Checkpoint: []byte("mine")}),
			saveOf(claimed[1].Export, store.Save{Checkpoint: []byte("other host")}),
			saveOf(claimed[2].Export, store.Save{Checkpoint: []byte("other attempt")}),
			{ExportID: uuid.New(), HostID: w.Host, Attempt: 1, Checkpoint: []byte("no such export")},
		}
		saves[1].HostID = uuid.New()
		saves[2].Attempt = 2
		errs, err := w.S.SaveAll(w.Ctx, saves)
		w.must(err)
		w.must(errs[0])
		for i := 1; i < 4; i++ {
			want(w.T, "fenced", errors.Is(errs[i], store.ErrFenced), true)
		}
		same(w.T, w.Get(claimed[0].Export.ID).Checkpoint, []byte("mine"))
		same(w.T, w.Get(claimed[1].Export.ID).Checkpoint, []byte(nil))
		same(w.T, w.Get(claimed[2].Export.ID).Checkpoint, []byte(nil))
	},
	"an attempt that was taken over can neither save nor finish": func(w *World) {
		old := w.ClaimOne()
		w.Finish(Ended(old, domain.OutcomeLost, domain.Pending))
		current := w.Claim(1)[0].Export
		w.wantFenced(old)
		w.Finish(Delivered(current))
		want(w.T, "status", w.Get(old.ID).Status, domain.Sent)
	},
	"an attempt that has ended can't save": func(w *World) {
		e := w.ClaimOne()
		w.Finish(Delivered(e))
		errs, err := w.S.SaveAll(w.Ctx, []store.Save{saveOf(e, store.Save{Checkpoint: []byte("late")})})
		w.must(err)
		want(w.T, "fenced", errors.Is(errs[0], store.ErrFenced), true)
	},
	"a delivered export is SENT and keeps what was said of it": func(w *World) {
		e := w.ClaimOne()
		f := Delivered(e)
		f.StorageKey, f.PayloadSize, f.PayloadSHA256 = "exports/a", 12, bytes.Repeat([]byte{5}, 32)
		f.DropzonePath, f.Metadata, f.Recovered = "/in/a.json", map[string]string{"server": "a"}, true
		w.Finish(f)
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Sent)
		want(w.T, "lease", got.Lease, nil)
		want(w.T, "next attempt", got.NextAttemptAt, nil)
		want(w.T, "path", got.DropzonePath, "/in/a.json")
		want(w.T, "ref", got.ExternalRef, Ref(e))
		want(w.T, "key", got.StorageKey, "exports/a")
		same(w.T, got.Metadata, f.Metadata)
		want(w.T, "sent", got.SentAt != nil, true)
		want(w.T, "error", got.Error, nil)
		a := w.lastAttempt(e.ID)
		want(w.T, "outcome", a.Outcome, domain.OutcomeDelivered)
		want(w.T, "recovered", a.Recovered, true)
		want(w.T, "finished", a.FinishedAt != nil, true)
	},
	"an ERP that answers at once takes the export straight to ACKED": func(w *World) {
		e := w.ClaimOne()
		f := Delivered(e)
		f.Status, f.ERPOrderID = domain.Acked, "SO-1"
		w.Finish(f)
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Acked)
		want(w.T, "number", got.ERPOrderID, "SO-1")
		want(w.T, "sent and acked", got.SentAt != nil && got.AckedAt != nil, true)
	},
	"a failed export keeps its error, as its attempt does": func(w *World) {
		reason := &domain.ExportError{Code: port.InvalidOrder, Message: "no customer", Details: map[string]string{"field": "customer"}}
		failed := w.FailWith(reason)
		same(w.T, failed.Error, reason)
		want(w.T, "status", failed.Status, domain.Failed)
		want(w.T, "next attempt", failed.NextAttemptAt, nil)
		same(w.T, w.lastAttempt(failed.ID).Error, reason)
		w.wantDue()
	},
	"attempts that count are counted, others are not": func(w *World) {
		e := w.ClaimOne()
		w.Finish(Ended(e, domain.OutcomeDeferred, domain.Pending))
		e = w.Claim(1)[0].Export
		f := Ended(e, domain.OutcomeRetry, domain.Pending)
		f.CountsFailure = true
		f.Error = &domain.ExportError{Code: port.Throttled, Message: "slow down", Retryable: true}
		w.Finish(f)
		got := w.Get(e.ID)
		want(w.T, "attempts", got.AttemptCount, 2)
		want(w.T, "failures", got.FailureCount, 1)
		want(w.T, "crashes", got.CrashCount, 0)
		same(w.T, got.Error, f.Error)
		e = w.Claim(1)[0].Export
		f = Ended(e, domain.OutcomeLost, domain.Pending)
		f.CountsFailure, f.CountsCrash = true, true
		w.Finish(f)
		got = w.Get(e.ID)
		want(w.T, "failures", got.FailureCount, 2)
		want(w.T, "crashes", got.CrashCount, 1)
		want(w.T, "keeps the last error", got.Error.Code, port.Throttled)
	},
	"success clears the error of earlier attempts": func(w *World) {
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeRetry, domain.Pending)
		f.Error = &domain.ExportError{Code: port.Throttled, Message: "slow down"}
		w.Finish(f)
		w.Finish(Delivered(w.Claim(1)[0].Export))
		want(w.T, "error", w.Get(e.ID).Error, nil)
		attempts, err := w.S.Attempts(w.Ctx, w.Org.ID, e.ID)
		w.must(err)
		want(w.T, "attempts", len(attempts), 2)
		want(w.T, "first attempt's error", attempts[0].Error.Code, port.Throttled)
		want(w.T, "second attempt's error", attempts[1].Error, nil)
	},
	"finishing again with the same outcome is fine and changes nothing": func(w *World) {
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeRetry, domain.Pending)
		f.CountsFailure, f.NextAttemptIn = true, time.Hour
		w.Finish(f)
		before := w.Get(e.ID)
		w.Finish(f) // its first answer was lost
		w.Finish(f, f)
		same(w.T, w.Get(e.ID), before)
	},
	"finishing again after the next attempt has begun changes nothing": func(w *World) {
		e := w.ClaimOne()
		f := Ended(e, domain.OutcomeRetry, domain.Pending)
		w.Finish(f)
		current := w.Claim(1)[0].Export
		w.Finish(f)
		same(w.T, w.Get(e.ID), current)
	},
	"finishing again with another outcome is fenced": func(w *World) {
		e := w.ClaimOne()
		w.Finish(Ended(e, domain.OutcomeLost, domain.Pending))
		w.wantFenced(e)
		want(w.T, "outcome", w.lastAttempt(e.ID).Outcome, domain.OutcomeLost)
	},
	"two ends of one attempt in one batch: the first one counts": func(w *World) {
		e := w.ClaimOne()
		errs, err := w.S.FinishAll(w.Ctx, []store.Finish{Delivered(e), Ended(e, domain.OutcomeFailed, domain.Failed)})
		w.must(err)
		w.must(errs[0])
		want(w.T, "second", errors.Is(errs[1], store.ErrFenced), true)
		want(w.T, "status", w.Get(e.ID).Status, domain.Sent)
	},
	"a batch of 256 is saved and finished": func(w *World) {
		const n = 256
		w.AcceptN(n)
		claimed := w.Claim(n)
		saves, finishes := make([]store.Save, n), make([]store.Finish, n)
		for i, c := range claimed {
			saves[i] = saveOf(c.Export, store.Save{Checkpoint: []byte(c.Export.ID.String())})
			finishes[i] = Delivered(c.Export)
		}
		w.wantSaved(saves...)
		w.Finish(finishes...)
		for _, c := range claimed {
			got := w.Get(c.Export.ID)
			same(w.T, got.Checkpoint, []byte(c.Export.ID.String()))
			want(w.T, "ref", got.ExternalRef, Ref(c.Export))
		}
	},
	"empty batches are fine": func(w *World) {
		errs, err := w.S.SaveAll(w.Ctx, nil)
		w.must(err)
		want(w.T, "saves", len(errs), 0)
		errs, err = w.S.FinishAll(w.Ctx, nil)
		w.must(err)
		want(w.T, "finishes", len(errs), 0)
	},
}

// saveOf addresses a save to the running attempt of a claimed export.
func saveOf(e domain.Export, s store.Save) store.Save {
	s.ExportID, s.HostID, s.Attempt = e.ID, e.Lease.HostID, e.AttemptCount
	return s
}

func (w *World) wantSaved(saves ...store.Save) {
	w.T.Helper()
	errs, err := w.S.SaveAll(w.Ctx, saves)
	w.must(err)
	w.must(errors.Join(errs...))
}

// wantFenced checks that an attempt can't write any more.
func (w *World) wantFenced(old domain.Export) {
	w.T.Helper()
	before := w.Get(old.ID)
	errs, err := w.S.SaveAll(w.Ctx, []store.Save{saveOf(old, store.Save{Checkpoint: []byte("late"), ExternalRef: "late"})})
	w.must(err)
	want(w.T, "save is fenced", errors.Is(errs[0], store.ErrFenced), true)
	errs, err = w.S.FinishAll(w.Ctx, []store.Finish{Delivered(old)})
	w.must(err)
	want(w.T, "finish is fenced", errors.Is(errs[0], store.ErrFenced), true)
	same(w.T, w.Get(old.ID), before)
}

func (w *World) lastAttempt(exportID uuid.UUID) domain.Attempt {
	w.T.Helper()
	attempts, err := w.S.Attempts(w.Ctx, w.Org.ID, exportID)
	w.must(err)
	if len(attempts) == 0 {
		w.T.Fatal("there is no attempt")
	}
	return attempts[len(attempts)-1]
}
