package rules

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/store"
)

type fence struct {
	export, host uuid.UUID
	attempt      int
}

// Merged is a batch in which each attempt occurs once, in the order of export
// ids: two callers that write the same rows lock them in the same order.
type Merged[T any] struct {
	Items []T
	of    []int // of[i] is where item i of the caller's batch went
	agree []bool
}

// Spread gives each item of the caller's batch the verdict of its merged item.
func (m Merged[T]) Spread(verdicts []error) []error {
	errs := make([]error, len(m.of))
	for i, at := range m.of {
		errs[i] = verdicts[at]
		if !m.agree[i] {
			errs[i] = store.ErrFenced
		}
	}
	return errs
}

// MergeSaves joins the saves of one attempt: later fields win.
func MergeSaves(saves []store.Save) Merged[store.Save] {
	return merge(saves,
		func(s *store.Save) fence { return fence{s.ExportID, s.HostID, s.Attempt} },
		func(into *store.Save, s *store.Save) bool {
			if s.Checkpoint != nil {
				into.Checkpoint = s.Checkpoint
			}
			if s.ExternalRef != "" {
				into.ExternalRef = s.ExternalRef
			}
			if s.StorageKey != "" {
				into.StorageKey, into.PayloadSize, into.PayloadSHA256 = s.StorageKey, s.PayloadSize, s.PayloadSHA256
			}
			return true
		})
}

// MergeFinishes keeps the first end of each attempt. A second one is a
// repetition if its outcome is the same, otherwise it comes too late.
func MergeFinishes(finishes []store.Finish) Merged[store.Finish] {
	return merge(finishes,
		func(f *store.Finish) fence { return fence{f.ExportID, f.HostID, f.Attempt} },
		func(into *store.Finish, f *store.Finish) bool { return into.Outcome == f.Outcome })
}

// merge folds items with the same fence by join, which reports whether the
// item agrees with what it was folded into.
func merge[T any](items []T, fenceOf func(*T) fence, join func(into, item *T) bool) Merged[T] {
	m := Merged[T]{of: make([]int, len(items)), agree: make([]bool, len(items))}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		fa, fb := fenceOf(&items[a]), fenceOf(&items[b])
		return bytes.Compare(fa.export[:], fb.export[:])
	})
	at := make(map[fence]int, len(items))
	for _, i := range order {
		f := fenceOf(&items[i])
		place, seen := at[f]
		if !seen {
			place = len(m.Items)
			at[f] = place
			m.Items = append(m.Items, items[i])
			m.agree[i] = true
		} else {
			m.agree[i] = join(&m.Items[place], &items[i])
		}
		m.of[i] = place
	}
	return m
}
