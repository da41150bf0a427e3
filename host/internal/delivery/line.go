package delivery

import (
	"time"

	"github.com/orderport/orderport/host/internal/store"
)

// fromStart is how long a lane claims on behind its last claim before it looks
// from the start of the line again, where retries whose time has come stand.
const fromStart = time.Second

// line is how far a lane has claimed its connection's exports. Under load it
// claims on from there: from the start each claim would walk over all that is
// under way.
type line struct {
	place store.Place // zero: the start
	since time.Time   // when it was last at the start
}

// next returns where to claim from; again says that something before may be due.
func (l *line) next(again bool) store.Place {
	if again || time.Since(l.since) > fromStart {
		l.place = store.Place{}
	}
	if l.place == (store.Place{}) {
		l.since = time.Now()
	}
	return l.place
}

// claimed notes what a claim of up to n from there brought, and says whether
// there may be more.
func (l *line) claimed(got []store.Claimed, n int) (more bool) {
	if len(got) == n {
		l.place = got[n-1].Place
		return true
	}
	more = l.place != store.Place{} // before it
	l.place = store.Place{}
	return more
}
