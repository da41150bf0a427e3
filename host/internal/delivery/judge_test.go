package delivery

import (
	"testing"
	"time"
)

func TestAHostJudgesOthersOnlyWhileItsOwnHeartbeatsGoThrough(t *testing.T) {
	t.Parallel()
	const dead = 5 * time.Second
	every := func(d time.Duration, n int) (gaps []time.Duration) {
		for range n {
			gaps = append(gaps, d)
		}
		return gaps
	}
	for _, tc := range []struct {
		name    string
		gaps    []time.Duration // between heartbeats; 0: one fails
		silence time.Duration   // at the end; forever: it can't tell
	}{
		{"a new one can't tell yet", every(time.Second, 4), forever},
		{"it can when it has beaten for as long", every(time.Second, 5), dead},
		{"after an outage it can't", append(every(time.Second, 60), 0, time.Second), forever},
		{"until it has beaten for as long again", append(append(every(time.Second, 60), 0), every(time.Second, 6)...), dead},
		{"after the database hung it is patient", append(every(time.Second, 60), 6*time.Second), 4 * dead},
		{"and some seconds later as well", append(append(every(time.Second, 60), 6*time.Second), every(time.Second, 4)...), 4 * dead},
		{"but not for ever", append(append(every(time.Second, 60), 6*time.Second), every(time.Second, 5)...), dead},
		{"after a long pause it can't tell", append(every(time.Second, 60), 11*time.Second), forever},
		{"nor some seconds later", append(append(every(time.Second, 60), 11*time.Second), every(time.Second, 4)...), forever},
		{"but then it can", append(append(every(time.Second, 60), 11*time.Second), every(time.Second, 5)...), dead},
		{"one whose heartbeats are always slow is patient", every(3*time.Second, 20), 4 * dead},
		{"and can't tell at first either", every(3*time.Second, 12), forever},
	} {
		j, now := judge{deadAfter: dead}, time.Now()
		silence, ok := j.reached(now)
		for _, gap := range tc.gaps {
			if gap == 0 {
				j.failed()
				now = now.Add(time.Minute)
				silence, ok = j.reached(now)
				continue
			}
			now = now.Add(gap)
			silence, ok = j.reached(now)
		}
		if silence != tc.silence || ok != (tc.silence != forever) {
			t.Errorf("%s: silent for %v counts as dead (%t), want %v", tc.name, silence, ok, tc.silence)
		}
	}
}

func TestOnlyTheFirstFailureIsNews(t *testing.T) {
	t.Parallel()
	j := judge{deadAfter: time.Second}
	if j.failed() {
		t.Error("a host that never reached the database has lost it")
	}
	j.reached(time.Now())
	if !j.failed() || j.failed() {
		t.Error("the first failure is news, and the second one is not")
	}
}
