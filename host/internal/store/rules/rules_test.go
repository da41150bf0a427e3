package rules_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

func TestACursorHoldsItsPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rules.Position{
			At: time.UnixMicro(rapid.Int64Range(-1e15, 1e16).Draw(t, "time")).UTC(),
			ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
		}
		got, err := rules.ParseCursor(want.Cursor())
		if err != nil || *got != want {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(rules.Position{At: time.Unix(1, 0), ID: uuid.New()}.Cursor())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := rules.ParseCursor(text)
		if err == nil && p != nil && p.Cursor() != text {
			t.Errorf("%q is read as %q", text, p.Cursor())
		}
	})
}

func TestMergedSavesEqualSavesOneByOne(t *testing.T) {
	t.Parallel()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	rapid.Check(t, func(t *rapid.T) {
		saves := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Save {
			s := store.Save{ExportID: rapid.SampledFrom(ids).Draw(t, "export"), Attempt: rapid.IntRange(1, 2).Draw(t, "attempt")}
			if rapid.Bool().Draw(t, "has checkpoint") {
				s.Checkpoint = []byte(rapid.StringN(0, 3, 3).Draw(t, "checkpoint"))
			}
			s.ExternalRef = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "ref")
			if s.StorageKey = rapid.SampledFrom([]string{"", "k", "l"}).Draw(t, "key"); s.StorageKey != "" {
				s.PayloadSize = rapid.Int64().Draw(t, "size")
			}
			return s
		}), 0, 12).Draw(t, "saves")

		merged := rules.MergeSaves(saves)
		if diff := cmp.Diff(replay(saves), replay(merged.Items)); diff != "" {
			t.Fatalf("differs (-one by one +merged):\n%s", diff)
		}
		for i := 1; i < len(merged.Items); i++ {
			if a, b := merged.Items[i-1].ExportID, merged.Items[i].ExportID; bytes.Compare(a[:], b[:]) > 0 {
				t.Fatal("not in the order of ids")
			}
		}
		verdicts := make([]error, len(merged.Items))
		for i, s := range merged.Items {
			if s.Attempt == 2 {
				verdicts[i] = store.ErrFenced
			}
		}
		for i, err := range merged.Spread(verdicts) {
			if (saves[i].Attempt == 2) != errors.Is(err, store.ErrFenced) {
				t.Fatalf("save %d got another one's verdict", i)
			}
		}
	})
}

type attempt struct {
	export uuid.UUID
	number int
}

// replay is what a database that applies saves one by one ends up with.
func replay(saves []store.Save) map[attempt]store.Save {
	state := map[attempt]store.Save{}
	for _, s := range saves {
		key := attempt{s.ExportID, s.Attempt}
		now := state[key]
		now.ExportID, now.Attempt = s.ExportID, s.Attempt
		if s.Checkpoint != nil {
			now.Checkpoint = s.Checkpoint
		}
		if s.ExternalRef != "" {
			now.ExternalRef = s.ExternalRef
		}
		if s.StorageKey != "" {
			now.StorageKey, now.PayloadSize = s.StorageKey, s.PayloadSize
		}
		state[key] = now
	}
	return state
}

func TestOnlyTheFirstEndOfAnAttemptCounts(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	merged := rules.MergeFinishes([]store.Finish{
		{ExportID: id, Attempt: 1, Outcome: domain.OutcomeDelivered},
		{ExportID: id, Attempt: 1, Outcome: domain.OutcomeFailed},
		{ExportID: id, Attempt: 1, Outcome: domain.OutcomeDelivered},
	})
	if len(merged.Items) != 1 || merged.Items[0].Outcome != domain.OutcomeDelivered {
		t.Fatalf("merged into %+v", merged.Items)
	}
	got := merged.Spread([]error{nil})
	if got[0] != nil || !errors.Is(got[1], store.ErrFenced) || got[2] != nil {
		t.Errorf("verdicts %v", got)
	}
}
