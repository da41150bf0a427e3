package delivery

import (
	"time"

	"github.com/orderport/orderport/host/internal/store"
)

const (
	// briskly is how long a connector may take for an attempt for a lane to use
	// its whole width. Beyond it the width shrinks, so that the number of orders begun
	// per second stays what the target can digest.
	briskly = 250 * time.Millisecond
	// leastWidth is what a lane has however slow its target is.
	leastWidth = 32
	// firstWidth is what a lane has until its first attempt has ended: a
	// target that hangs should not take more from the others than it must.
	firstWidth = 8
	// paceWeight is the weight of what is known against the newest attempt.
	paceWeight = 15
	// maxHeld bounds the orders that a lane holds at one time, in bytes.
	maxHeld = 32 << 20
)

// pace is how long the connector takes for a connection's attempts. What the
// host itself takes does not count: when its disk or database is slow, width is
// what keeps commits shared. Width costs nothing where attempts are short: they mostly wait for shared commits, and the more wait,
// the fewer commits each of them costs. Where attempts are long, width would
// only queue orders inside the connector while their deadlines run. The zero
// value is that of a connection of which nothing is known.
type pace struct {
	usual   time.Duration
	largest int // bytes of the largest order of the last claim
}

// weigh takes the size of orders into account, so that a lane of large ones
// holds few.
func (p *pace) weigh(claimed []store.Claimed) {
	p.largest = 0
	for _, c := range claimed {
		p.largest = max(p.largest, len(c.Order))
	}
}

// note takes the duration of an attempt into account; 0 says nothing.
func (p *pace) note(took time.Duration) {
	if took <= 0 {
		return
	}
	if p.usual == 0 {
		p.usual = took
		return
	}
	p.usual = (paceWeight*p.usual + took) / (paceWeight + 1)
}

// width is how many of at most limit attempts should run at one time.
func (p *pace) width(limit int) int {
	if p.largest > 0 {
		limit = min(limit, max(1, maxHeld/p.largest))
	}
	least := min(leastWidth, limit)
	switch {
	case p.usual == 0:
		return min(firstWidth, limit)
	case p.usual <= briskly:
		return limit
	default:
		return max(least, int(float64(limit)*float64(briskly)/float64(p.usual)))
	}
}
