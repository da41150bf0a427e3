package storetest

import (
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

var ackTests = map[string]func(w *World){
	"a positive ack takes a sent export to ACKED": func(w *World) {
		e := w.Deliver(1)[0]
		w.ack(store.AckApplied, positive(e, "SO-1"))
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Acked)
		want(w.T, "number", got.ERPOrderID, "SO-1")
		want(w.T, "acked", got.AckedAt != nil, true)
		want(w.T, "sent at", *got.SentAt, *e.SentAt)
	},
	"a negative ack takes a sent export to FAILED with the ERP's code": func(w *World) {
		e := w.Deliver(1)[0]
		w.ack(store.AckApplied, negative(e))
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Failed)
		same(w.T, got.Error, &domain.ExportError{
			Code: port.RejectedByERP, Message: "no such customer", Details: map[string]string{"erp_error_code": "E42"},
		})
		w.retry(e.ID)
	},
	"an ack of an unknown reference is unmatched": func(w *World) {
		w.Deliver(1)
		w.ack(store.AckUnmatched, store.Ack{ExternalRef: "ref-of-nobody", Positive: true})
		w.ack(store.AckUnmatched, store.Ack{Positive: true})
	},
	"an ack over another connection is unmatched": func(w *World) {
		e := w.Deliver(1)[0]
		other := w.NewConn(w.Org.ID, "SAP_RFC")
		verdicts, err := w.S.ApplyAcks(w.Ctx, other.ID, []store.Ack{positive(e, "SO-1")}, "host:a")
		w.must(err)
		want(w.T, "verdict", verdicts[0], store.AckUnmatched)
		want(w.T, "status", w.Get(e.ID).Status, domain.Sent)
	},
	"an ack that is repeated changes nothing": func(w *World) {
		yes, no := w.Deliver(1)[0], w.Deliver(1)[0]
		w.ack(store.AckApplied, positive(yes, "SO-1"))
		w.ack(store.AckApplied, negative(no))
		before := []domain.Export{w.Get(yes.ID), w.Get(no.ID)}
		w.ack(store.AckRepeated, positive(yes, "SO-1"))
		w.ack(store.AckRepeated, positive(yes, ""))
		w.ack(store.AckRepeated, negative(no))
		same(w.T, []domain.Export{w.Get(yes.ID), w.Get(no.ID)}, before)
	},
	"an ack that contradicts is audited and changes nothing": func(w *World) {
		yes, no := w.Deliver(1)[0], w.Deliver(1)[0]
		w.ack(store.AckApplied, positive(yes, "SO-1"))
		w.ack(store.AckApplied, negative(no))
		before := []domain.Export{w.Get(yes.ID), w.Get(no.ID)}
		w.ack(store.AckContrary, negative(yes))
		w.ack(store.AckContrary, positive(yes, "SO-2"))
		w.ack(store.AckContrary, positive(no, "SO-3"))
		same(w.T, []domain.Export{w.Get(yes.ID), w.Get(no.ID)}, before)
		want(w.T, "audit entries", w.countAudit("export.ack_contrary"), 3)
	},
	"an ERP order number that comes later is added": func(w *World) {
		e := w.Deliver(1)[0]
		w.ack(store.AckApplied, positive(e, ""))
		w.ack(store.AckApplied, positive(e, "SO-1"))
		want(w.T, "number", w.Get(e.ID).ERPOrderID, "SO-1")
		w.ack(store.AckContrary, positive(e, "SO-2"))
	},
	"an ack before the attempt has ended is applied, and its end keeps it": func(w *World) {
		for _, c := range []struct {
			ack    func(domain.Export) store.Ack
			status domain.ExportStatus
			end    func(domain.Export) store.Finish
		}{
			{func(e domain.Export) store.Ack { return positive(e, "SO-1") }, domain.Acked, Delivered},
			{negative, domain.Failed, Delivered},
			{func(e domain.Export) store.Ack { return positive(e, "SO-1") }, domain.Acked, lostEnd},
			{func(e domain.Export) store.Ack { return positive(e, "SO-1") }, domain.Acked, failedEnd},
		} {
			e := w.ClaimOne()
			w.wantSaved(saveOf(e, store.Save{ExternalRef: Ref(e), Checkpoint: []byte("staged")}))
			ack := c.ack(e)
			w.ack(store.AckApplied, ack)
			acked := w.Get(e.ID)
			want(w.T, "status", acked.Status, c.status)
			want(w.T, "still leased", acked.Lease != nil, true)
			end := c.end(e)
			end.DropzonePath = "/in/a.json"
			w.Finish(end)
			w.Finish(end)
			got := w.Get(e.ID)
			want(w.T, "status after the end", got.Status, c.status)
			want(w.T, "number", got.ERPOrderID, ack.ERPOrderID)
			want(w.T, "path", got.DropzonePath, "/in/a.json")
			want(w.T, "lease", got.Lease, nil)
			same(w.T, got.Error, acked.Error)
			want(w.T, "outcome", w.lastAttempt(e.ID).Outcome, end.Outcome)
			w.ack(store.AckRepeated, ack)
		}
	},
	"an ack of an export that waits for its next attempt ends it": func(w *World) {
		e := w.ClaimOne()
		w.wantSaved(saveOf(e, store.Save{ExternalRef: Ref(e)}))
		w.Finish(lostEnd(e))
		w.ack(store.AckApplied, positive(e, "SO-1"))
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Acked)
		want(w.T, "sent", got.SentAt != nil, true)
		want(w.T, "claimed", len(w.Claim(1)), 0)
	},
	"a positive ack ends the doubt about an unknown outcome": func(w *World) {
		e := w.FailWith(unknown)
		w.ack(store.AckApplied, positive(e, "SO-1"))
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Acked)
		want(w.T, "error", got.Error, nil)
	},
	"a negative ack ends the doubt too, and the order can be retried": func(w *World) {
		e := w.FailWith(unknown)
		w.ack(store.AckApplied, negative(e))
		want(w.T, "code", w.Get(e.ID).Error.Code, port.RejectedByERP)
		w.retry(e.ID)
	},
	"a positive ack for an order that is live again contradicts": func(w *World) {
		e := w.Deliver(1)[0]
		w.ack(store.AckApplied, negative(e))
		retried := w.retry(e.ID)
		w.ack(store.AckContrary, positive(e, "SO-1"))
		want(w.T, "status", w.Get(e.ID).Status, domain.Failed)
		want(w.T, "retry's status", w.Get(retried.ID).Status, domain.Pending)
	},
	"later acks of a batch see what earlier ones did": func(w *World) {
		e := w.Deliver(1)[0]
		verdicts := w.acks(positive(e, ""), positive(e, "SO-1"), positive(e, "SO-1"), negative(e))
		same(w.T, verdicts, []store.AckVerdict{store.AckApplied, store.AckApplied, store.AckRepeated, store.AckContrary})
		got := w.Get(e.ID)
		want(w.T, "status", got.Status, domain.Acked)
		want(w.T, "number", got.ERPOrderID, "SO-1")
	},
	"a reference that two exports share is about the one that lives": func(w *World) {
		failed := w.FailWith(rejected)
		w.retry(failed.ID)
		live := w.Claim(1)[0].Export
		f := Delivered(live)
		f.ExternalRef = Ref(failed)
		w.Finish(f)
		w.ack(store.AckApplied, positive(failed, "SO-1"))
		want(w.T, "live one", w.Get(live.ID).Status, domain.Acked)
		want(w.T, "failed one", w.Get(failed.ID).Status, domain.Failed)
	},
	"eight that apply the same acks at once apply each once": func(w *World) {
		acks := w.acksFor(100)
		verdicts := together(w.T, 8, func(int) []store.AckVerdict { return w.acks(acks...) })
		wantOnce(w, verdicts)
	},
	"no acks are fine": func(w *World) { want(w.T, "verdicts", len(w.acks()), 0) },
}

func positive(e domain.Export, number string) store.Ack {
	return store.Ack{ExternalRef: Ref(e), Positive: true, ERPOrderID: number}
}

func negative(e domain.Export) store.Ack {
	return store.Ack{ExternalRef: Ref(e), ErrorCode: "E42", Message: "no such customer"}
}

func lostEnd(e domain.Export) store.Finish { return Ended(e, domain.OutcomeLost, domain.Pending) }

func failedEnd(e domain.Export) store.Finish {
	f := Ended(e, domain.OutcomeFailed, domain.Failed)
	f.Error = unknown
	return f
}

func (w *World) acks(acks ...store.Ack) []store.AckVerdict {
	w.T.Helper()
	verdicts, err := w.S.ApplyAcks(w.Ctx, w.Conn.ID, acks, "host:a")
	if err != nil {
		w.T.Errorf("apply acks: %v", err)
	}
	return verdicts
}

// ack applies one ack and checks the verdict.
func (w *World) ack(verdict store.AckVerdict, ack store.Ack) {
	w.T.Helper()
	verdicts := w.acks(ack)
	same(w.T, verdicts, []store.AckVerdict{verdict})
}

// wantOnce checks that of several applications of the same acks one did the
// work and all others found it done.
func wantOnce(w *World, rounds [][]store.AckVerdict) {
	w.T.Helper()
	applied := make([]int, len(rounds[0]))
	for _, verdicts := range rounds {
		for i, v := range verdicts {
			switch v {
			case store.AckApplied:
				applied[i]++
			case store.AckRepeated:
			default:
				w.T.Fatalf("ack %d: verdict %v", i, v)
			}
		}
	}
	for i, n := range applied {
		if n != 1 {
			w.T.Fatalf("ack %d was applied %d times", i, n)
		}
	}
}
