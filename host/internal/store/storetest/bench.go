package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

// lifeBatch is the batch that callers on the hot path typically reach.
const lifeBatch = 64

// Bench runs the benchmarks that every driver shares.
func Bench(b *testing.B, open func(b *testing.B) store.Store) {
	b.Run("life of an order", func(b *testing.B) { benchLife(NewWorld(b, open(b)), b) })
	b.Run("accept 1000", func(b *testing.B) { benchAccept(NewWorld(b, open(b)), b) })
	b.Run("apply 10000 acks", func(b *testing.B) { benchAcks(NewWorld(b, open(b)), b) })
}

// realistic gives an order the size of the ones that customers send.
func realistic(a store.Acceptance) store.Acceptance {
	withContent(&a, fmt.Sprintf(`{"id":%q,"padding":%q}`, a.Draft.ID, bytes.Repeat([]byte("x"), 900)))
	return a
}

// benchLife takes orders from acceptance to SENT in batches, one call after
// the other. One operation is one order.
func benchLife(w *World, b *testing.B) {
	w.T = b
	b.ReportAllocs()
	var spent [4]time.Duration
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(lifeBatch, b.N-done)
		w.life(n, &spent)
		done += n
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
	for i, name := range []string{"accept", "claim", "save", "finish"} {
		b.ReportMetric(float64(spent[i].Microseconds())/float64(b.N), name+"-us/order")
	}
}

// life accepts, claims, saves and finishes n orders.
func (w *World) life(n int, spent *[4]time.Duration) {
	batch := make([]store.Acceptance, n)
	for i := range batch {
		batch[i] = realistic(w.Order())
	}
	start := time.Now()
	lap := func(i int) {
		end := time.Now()
		spent[i] += end.Sub(start)
		start = end
	}
	w.Accept(batch...)
	lap(0)
	claimed := w.Claim(n)
	lap(1)
	if len(claimed) != n {
		w.T.Fatalf("claimed %d of %d", len(claimed), n)
	}
	saves, finishes := make([]store.Save, n), make([]store.Finish, n)
	hash := bytes.Repeat([]byte{1}, 32)
	for i, c := range claimed {
		e := c.Export
		saves[i] = store.Save{
			ExportID: e.ID, HostID: w.Host, Attempt: e.AttemptCount,
			Checkpoint: []byte(`{"stage":"staged","name":"sales_order_x.json.1.tmp"}`), ExternalRef: Ref(e),
			StorageKey: "exports/" + e.OrgID.String() + "/" + e.ID.String(), PayloadSize: 1200, PayloadSHA256: hash,
		}
		finishes[i] = Delivered(e)
		finishes[i].DropzonePath = "/in/" + e.ID.String() + ".json"
	}
	errs, err := w.S.SaveAll(w.Ctx, saves)
	w.must(errors.Join(append(errs, err)...))
	lap(2)
	w.Finish(finishes...)
	lap(3)
}

// benchAccept accepts batches of 1,000. One operation is one batch.
func benchAccept(w *World, b *testing.B) {
	w.T = b
	for b.Loop() {
		batch := make([]store.Acceptance, 1000)
		for i := range batch {
			batch[i] = realistic(w.Order())
		}
		w.Accept(batch...)
	}
}

// benchAcks applies 10,000 acks, a tenth of them negative, and then the same
// acks again. One operation is both.
func benchAcks(w *World, b *testing.B) {
	w.T = b
	const n = 10_000
	var first, again time.Duration
	for range b.N {
		b.StopTimer()
		acks := w.acksFor(n)
		b.StartTimer()
		first += w.timedAcks(acks, store.AckApplied)
		again += w.timedAcks(acks, store.AckRepeated)
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-ms")
	b.ReportMetric(float64(again.Milliseconds())/float64(b.N), "again-ms")
}

func (w *World) acksFor(n int) []store.Ack {
	var acks []store.Ack
	for len(acks) < n {
		for i, e := range w.deliverQuietly(min(250, n-len(acks))) {
			ack := store.Ack{ExternalRef: Ref(e), Positive: i%10 != 0, ERPOrderID: "SO-1", ErrorCode: string(port.Conflict), Message: "no"}
			acks = append(acks, ack)
		}
	}
	return acks
}

// deliverQuietly is Deliver without reading the exports back.
func (w *World) deliverQuietly(n int) []domain.Export {
	w.AcceptN(n)
	claimed := w.Claim(n)
	finishes, exports := make([]store.Finish, n), make([]domain.Export, n)
	for i, c := range claimed {
		finishes[i], exports[i] = Delivered(c.Export), c.Export
	}
	w.Finish(finishes...)
	return exports
}

func (w *World) timedAcks(acks []store.Ack, verdict store.AckVerdict) time.Duration {
	start := time.Now()
	verdicts, err := w.S.ApplyAcks(w.Ctx, w.Conn.ID, acks, "host:bench")
	spent := time.Since(start)
	w.must(err)
	for i, v := range verdicts {
		if v != verdict {
			w.T.Fatalf("ack %d: verdict %v, want %v", i, v, verdict)
		}
	}
	return spent
}
