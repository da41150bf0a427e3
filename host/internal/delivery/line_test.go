package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/store"
)

func TestALineIsClaimedOnwardsAndNowAndThenFromItsStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l line
		start := store.Place{}
		claim := func(again bool, from store.Place, n, got int) (last store.Place, more bool) {
			t.Helper()
			if next := l.next(again); next != from {
				t.Fatalf("claims from %v, want %v", next, from)
			}
			claimed := make([]store.Claimed, got)
			for i := range claimed {
				claimed[i].Place = store.Place{Due: time.Now(), ID: uuid.New()}
				last = claimed[i].Place
			}
			return last, l.claimed(claimed, n)
		}
		wantMore := func(more, want bool) {
			t.Helper()
			if more != want {
				t.Fatalf("more: %v, want %v", more, want)
			}
		}

		first, more := claim(false, start, 2, 2)
		wantMore(more, true)
		second, more := claim(false, first, 2, 2)
		wantMore(more, true)
		_, more = claim(false, second, 2, 1)
		wantMore(more, true) // it is not known what stands before
		_, more = claim(false, start, 2, 1)
		wantMore(more, false)

		_, _ = claim(false, start, 1, 1)
		last, _ := claim(true, start, 1, 1) // something was claimed before and is due again
		_, _ = claim(false, last, 1, 1)
		<-time.After(fromStart + time.Millisecond)
		_, _ = claim(false, start, 1, 1)
	})
}
