package delivery

import "time"

// forever is a time after which nobody is dead: it makes Lost return only what
// hosts that are known to be stopped have left, and what has overrun its lease.
const forever = 365 * 24 * time.Hour

// judge knows whether this host can tell that others are silent. When the
// database comes back after an outage, or answers after it hung, or this host
// wakes up from a pause, everybody's last heartbeat is old. So a host judges
// only after its own heartbeats have gone through quickly for as long as others
// must have been silent. Where they are slow, it judges more patiently.
type judge struct {
	deadAfter time.Duration

	since  time.Time // since when heartbeats have gone through, without a long pause; zero: the last one failed
	steady time.Time // since when quickly
	last   time.Time // when the last one went through
}

// patience is how many times as long others must be silent where heartbeats are
// slow.
const patience = 4

// failed takes a heartbeat into account that failed, and says whether the one
// before had not.
func (j *judge) failed() (first bool) {
	first = !j.since.IsZero()
	*j = judge{deadAfter: j.deadAfter}
	return first
}

// reached takes a heartbeat into account that has gone through, and returns for
// how long a host must have been silent to be dead. Not ok: nobody can tell.
func (j *judge) reached(now time.Time) (silence time.Duration, ok bool) {
	switch {
	case j.since.IsZero(), now.Sub(j.last) > patience*j.deadAfter/2:
		j.since, j.steady = now, now
	case now.Sub(j.last) > j.deadAfter/2:
		j.steady = now
	}
	j.last = now
	switch {
	case now.Sub(j.steady) >= j.deadAfter:
		return j.deadAfter, true
	case now.Sub(j.since) >= 2*patience*j.deadAfter:
		return patience * j.deadAfter, true
	}
	return forever, false
}
