// Package circuit decides when a connection counts as down and when it is
// probed. It is arithmetic on domain.Health: it keeps nothing, calls nothing,
// and needs no clock of its own. The state lies in the connection's row, so all
// hosts see the same.
//
// UNKNOWN and HEALTHY are closed: exports run. A failure that will not pass by
// itself within seconds (wrong credentials, wrong host key, a missing
// directory, a wrong config) opens the circuit at once; one of the network must
// be the third in a row. While it is DOWN no export runs and a probe does, less
// and less often. Wrong credentials are probed rarely, so that no account gets
// locked by us. A probe that succeeds closes the circuit; so does the store
// when the config changes, the connection is enabled, or a person's test
// succeeds.
//
// Failures counts failed probes and is kept when a probe closes the circuit,
// until an export has gone through: where the test passes and exports fail all
// the same, the probes go on getting rarer instead of starting over.
package circuit

import (
	"time"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/domain"
)

// networkFailures is how many failures of the network in a row open a circuit.
const networkFailures = 3

// Opens says whether a failure opens a closed circuit, if it is the given one
// in a row, counting from 1.
func Opens(code port.Code, inARow int) bool {
	switch code {
	case port.Unreachable, port.Timeout:
		return inARow >= networkFailures
	default:
		return true
	}
}

// Open returns the health of a connection whose circuit opens now.
func Open(h domain.Health, code port.Code, reason string, now time.Time, jitter float64) domain.Health {
	next := now.Add(probeAfter(code, h.Failures, jitter))
	return domain.Health{
		State: domain.Down, Code: code, Reason: reason, Since: &now, NextProbeAt: &next, Failures: h.Failures,
	}
}

// Probing returns the health to store before a probe starts, so that no other
// host probes at the same time. If this host dies meanwhile, the next probe is
// due when it would be after a failure.
func Probing(h domain.Health, now time.Time, jitter float64) domain.Health {
	next := now.Add(probeAfter(h.Code, h.Failures+1, jitter))
	h.NextProbeAt = &next
	return h
}

// ProbeFailed returns the health after a probe that failed.
func ProbeFailed(h domain.Health, code port.Code, reason string, now time.Time, jitter float64) domain.Health {
	h.Failures++
	next := now.Add(probeAfter(code, h.Failures, jitter))
	h.Code, h.Reason, h.NextProbeAt = code, reason, &next
	return h
}

// ProbeSucceeded returns the health after a probe that succeeded. The number of
// failures stays until Worked.
func ProbeSucceeded(h domain.Health, now time.Time) domain.Health {
	return domain.Health{State: domain.Healthy, Since: &now, Failures: h.Failures + 1}
}

// Worked returns the health after an export has reached the target, and
// whether it differs from h. An open circuit stays open: the export may have
// begun before it opened.
func Worked(h domain.Health, now time.Time) (domain.Health, bool) {
	if h.State == domain.Down || (h.State == domain.Healthy && h.Failures == 0) {
		return h, false
	}
	since := h.Since
	if h.State != domain.Healthy || since == nil {
		since = &now
	}
	return domain.Health{State: domain.Healthy, Since: since}, true
}

// Trial says whether only one export should run, because nobody knows yet
// whether the target can be reached: 30 logins at once with a wrong password
// lock an account.
func Trial(h domain.Health) bool {
	return h.State != domain.Healthy || h.Failures > 0
}

// Due says whether a probe is due.
func Due(h domain.Health, now time.Time) bool {
	return h.State == domain.Down && (h.NextProbeAt == nil || !now.Before(*h.NextProbeAt))
}

// Pause is how long to leave a target alone after so many failures in a row,
// counting from 1. Wrong credentials are not presented again soon.
func Pause(code port.Code, inARow int, jitter float64) time.Duration {
	return probeAfter(code, inARow-1, jitter)
}

// probeAfter is the pause before the probe that follows the given number of
// failed ones. jitter is from 0 to 1 and makes the pause up to a fifth longer.
func probeAfter(code port.Code, failed int, jitter float64) time.Duration {
	first, longest := 5*time.Second, time.Minute
	switch code { //nolint:exhaustive // the others are as the network
	case port.AuthenticationFailed:
		first, longest = 15*time.Minute, 4*time.Hour
	case port.HostKeyMismatch, port.PermissionDenied:
		first, longest = 30*time.Second, 15*time.Minute
	}
	pause := longest
	if failed < 16 {
		pause = min(first<<failed, longest)
	}
	return pause + time.Duration(jitter*float64(pause)/5)
}
