package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

// ending is how a call of Port.Export ended, as this host saw it.
type ending struct {
	result *connectorv1.ExportResult // nil: the call failed with err
	err    error
	// checkpoint says that one is stored, of this attempt or an earlier one.
	checkpoint bool
	stored     *payload.Object // what this attempt stored last, unless a checkpoint has recorded it
	// stopping says that this host cut the attempt short.
	stopping bool
	// storage says that the connector was refused a store request because the
	// database or the payload store did not work.
	storage bool
}

// decision is what follows from an ending.
type decision struct {
	finish store.Finish // without the fence (export, host, attempt)
	// outage is the code that counts against the connection's circuit.
	outage port.Code
	// worked says that the target was reached: it closes a circuit on trial.
	worked bool
	// crashed says that the connector's process died.
	crashed bool
	// hold asks the lane to claim nothing for a while.
	hold time.Duration
}

// rules turn endings into decisions. They are a table in code: no I/O, no
// state.
type rules struct {
	knobs Knobs
	// random returns numbers from 0 to 1.
	random func() float64
}

func newRules(k Knobs) rules { return rules{knobs: k, random: rand.Float64} }

// storagePause is how long an export rests that this host could not store for.
const storagePause = 2 * time.Second

// decide says what becomes of an export after an attempt that this host ran.
func (r rules) decide(e domain.Export, caps capabilities, end ending) decision {
	var crash *connector.CrashError
	var unavailable *connector.UnavailableError
	switch {
	case end.result != nil && end.result.GetSuccess():
		return r.delivered(e, end)
	case end.storage && end.result != nil && port.CodeOf(end.result.GetError().GetCode()) != port.OutcomeUnknown:
		return deferred(exportError(port.Internal, "the host could not store what the connector asked for; it tries again", true), storagePause)
	case end.result != nil:
		return r.refused(e, end)
	case errors.As(end.err, &unavailable):
		d := deferred(exportError(port.ConnectorUnavailable, unavailable.Error(), true), 0)
		d.hold = max(unavailable.RetryIn, time.Second)
		return d
	case end.stopping:
		return r.interrupted(caps, end)
	case errors.As(end.err, &crash):
		return r.crashed(e, caps, end, crash)
	default:
		return r.unanswered(e, caps, end)
	}
}

func (r rules) delivered(e domain.Export, end ending) decision {
	result := end.result
	finish := store.Finish{
		Outcome:      domain.OutcomeDelivered,
		Status:       domain.Sent,
		Recovered:    result.GetRecovered(),
		DropzonePath: clean(result.GetDropzonePath()),
		ExternalRef:  clean(result.GetExternalRef()),
		ERPOrderID:   clean(result.GetErpOrderId()),
		Metadata:     cleanMap(result.GetMetadata()),
	}
	if finish.ERPOrderID != "" {
		finish.Status = domain.Acked
	}
	recordPayload(&finish, e, end)
	return decision{finish: finish, worked: true}
}

// recordPayload writes down what this attempt stored, unless the connector
// says that the payload of an earlier attempt is what was delivered.
func recordPayload(finish *store.Finish, e domain.Export, end ending) {
	if end.stored == nil {
		return
	}
	if key := end.result.GetStorageKey(); key == e.StorageKey && key != "" && key != end.stored.Key {
		return
	}
	finish.StorageKey = end.stored.Key
	finish.PayloadSize = end.stored.Size
	finish.PayloadSHA256 = end.stored.SHA256[:]
}

// refused handles an error that the connector reported: the outcome is known.
func (r rules) refused(e domain.Export, end ending) decision {
	reported := end.result.GetError()
	failure := reportedError(reported)
	code := failure.Code
	worked := !code.Outage() && code != port.Internal && code != port.Throttled
	switch {
	case code == port.InvalidConfig, code.Outage() && failure.Retryable:
		// Not this order's fault: it waits for the circuit.
		d := deferred(failure, retryAfter(reported))
		d.outage = code
		return d
	case !failure.Retryable, code == port.OutcomeUnknown:
		failure.Retryable = false
		return decision{worked: worked, finish: withPayload(failedWith(domain.OutcomeFailed, failure), e, end)}
	case code == port.Throttled:
		asked := retryAfter(reported)
		d := deferred(failure, max(asked, r.backoff(e.AttemptCount)))
		d.hold = asked
		return d
	default:
		d := r.again(e, domain.OutcomeRetry, failure, end.checkpoint)
		d.finish.NextAttemptIn = max(d.finish.NextAttemptIn, retryAfter(reported))
		d.worked = worked
		return d
	}
}

// again plans the next attempt of an export that failed, if there is to be one.
func (r rules) again(e domain.Export, outcome domain.Outcome, failure *domain.ExportError, mayBeApplied bool) decision {
	failed := e.FailureCount + 1
	if failed < r.knobs.MaxFailures {
		return decision{finish: store.Finish{
			Outcome: outcome, Status: domain.Pending, Error: failure,
			NextAttemptIn: r.backoff(failed), CountsFailure: true,
		}}
	}
	final := *failure
	final.Retryable = false
	final.Message = fmt.Sprintf("given up after %d failed attempts: %s", failed, failure.Message)
	if mayBeApplied {
		final = *unknown(final.Message, failure)
	}
	d := decision{finish: failedWith(domain.OutcomeFailed, &final)}
	d.finish.CountsFailure = true
	return d
}

// interrupted handles an attempt that ended because this host stops.
func (r rules) interrupted(caps capabilities, end ending) decision {
	const message = "the host was stopped during the attempt"
	switch {
	case caps.fenced && !end.checkpoint:
		return deferred(exportError(port.Internal, message, true), 0)
	case caps.resume:
		return decision{finish: store.Finish{
			Outcome: domain.OutcomeLost, Status: domain.Pending,
			Error: exportError(port.Internal, message, true), NextAttemptIn: r.settle(caps),
		}}
	default:
		return decision{finish: failedWith(domain.OutcomeLost, unknown(message+"; it can't be known whether the ERP has the order", nil))}
	}
}

// crashed handles the death of the connector. Many exports may have been under
// way in its process, so only those that kill it alone are held to account.
func (r rules) crashed(e domain.Export, caps capabilities, end ending, crash *connector.CrashError) decision {
	failure := exportError(port.ConnectorCrashed, crash.Error(), true)
	safe := caps.fenced && !end.checkpoint
	d := decision{crashed: true}
	switch {
	case e.CrashCount >= r.knobs.MaxLoneCrashes:
		message := fmt.Sprintf("the export ended its connector %d times, alone in the process; last: %s", e.CrashCount, crash.Reason)
		final := exportError(port.ConnectorCrashed, message, false)
		if !safe {
			final = unknown(message+"; it can't be known whether the ERP has the order", failure)
		}
		d.finish = failedWith(domain.OutcomeFailed, final)
	case safe, caps.resume:
		d.finish = store.Finish{
			Outcome: domain.OutcomeLost, Status: domain.Pending, Error: failure,
			NextAttemptIn: max(r.crashPause(e.CrashCount), r.settle(caps)),
		}
	default:
		d.finish = failedWith(domain.OutcomeLost, unknown(crash.Error()+"; it can't be known whether the ERP has the order", failure))
	}
	d.finish.CountsCrash = true
	return d
}

// crashPause lets an innocent neighbour run again at once, and a suspect that
// has crashed alone a little later each time.
func (r rules) crashPause(crashes int) time.Duration {
	if crashes == 0 {
		return 0
	}
	return r.backoff(crashes)
}

// unanswered handles an attempt without the connector's word: a deadline, a
// broken contract, a lost stream.
func (r rules) unanswered(e domain.Export, caps capabilities, end ending) decision {
	failure := exportError(port.Internal, end.err.Error(), true)
	outage := port.Code("")
	if errors.Is(end.err, context.DeadlineExceeded) {
		failure = exportError(port.Timeout, fmt.Sprintf("the connector did not finish within %s", r.knobs.AttemptTimeout), true)
		outage = port.Timeout
	}
	safe := caps.fenced && !end.checkpoint
	if !safe && !caps.resume {
		return decision{outage: outage, finish: failedWith(domain.OutcomeLost,
			unknown(failure.Message+"; it can't be known whether the ERP has the order", failure))}
	}
	d := r.again(e, domain.OutcomeLost, failure, !safe)
	d.finish.NextAttemptIn = max(d.finish.NextAttemptIn, r.settle(caps))
	d.outage = outage
	return d
}

// settle is how long a connector that can't fence may still be working on an
// attempt that has ended for this host.
func (r rules) settle(caps capabilities) time.Duration {
	if caps.fenced {
		return 0
	}
	return r.knobs.LeaseGrace
}

// reclaim says what becomes of an export whose attempt was lost with its host.
// leaseLeft is how long its lease has still to run.
func (r rules) reclaim(caps capabilities, leaseLeft time.Duration, why string) store.Finish {
	if !caps.resume {
		return failedWith(domain.OutcomeLost, unknown(why+"; it can't be known whether the ERP has the order", nil))
	}
	finish := store.Finish{
		Outcome: domain.OutcomeLost, Status: domain.Pending, Error: exportError(port.Internal, why, true),
	}
	if !caps.fenced {
		finish.NextAttemptIn = max(0, leaseLeft)
	}
	return finish
}

// backoff is the pause after the n-th failure: exponential, a fifth of it
// random.
func (r rules) backoff(n int) time.Duration {
	pause := r.knobs.RetryLongest
	if shift := max(0, n-1); shift < 16 {
		pause = min(pause, r.knobs.RetryFirst<<shift)
	}
	return time.Duration(float64(pause) * (0.9 + 0.2*r.random()))
}

func deferred(failure *domain.ExportError, pause time.Duration) decision {
	return decision{finish: store.Finish{
		Outcome: domain.OutcomeDeferred, Status: domain.Pending, Error: failure, NextAttemptIn: pause,
	}}
}

func failedWith(outcome domain.Outcome, failure *domain.ExportError) store.Finish {
	return store.Finish{Outcome: outcome, Status: domain.Failed, Error: failure}
}

func withPayload(finish store.Finish, e domain.Export, end ending) store.Finish {
	recordPayload(&finish, e, end)
	return finish
}
