package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

var (
	fencedResumer = capabilities{resume: true, fenced: true}
	resumer       = capabilities{resume: true}
	fencedOnly    = capabilities{fenced: true}
	neither       = capabilities{}
)

// verdict is the part of a decision that the table below compares.
type verdict struct {
	Outcome domain.Outcome
	Status  domain.ExportStatus
	Code    port.Code
	In      time.Duration
	Failure bool
	Crash   bool
	Outage  port.Code
	Worked  bool
	Hold    time.Duration
}

func summary(d decision) verdict {
	v := verdict{
		Outcome: d.finish.Outcome, Status: d.finish.Status, In: d.finish.NextAttemptIn,
		Failure: d.finish.CountsFailure, Crash: d.finish.CountsCrash, Outage: d.outage, Worked: d.worked, Hold: d.hold,
	}
	if d.finish.Error != nil {
		v.Code = d.finish.Error.Code
	}
	return v
}

func testRules() rules {
	r := newRules(Knobs{}.withDefaults())
	r.random = func() float64 { return 0.5 } // no jitter
	return r
}

func reported(code port.Code, retryable bool) *connectorv1.ExportResult {
	return &connectorv1.ExportResult{Error: &connectorv1.Error{Code: code.Proto(), Message: "why", Retryable: retryable}}
}

func throttledFor(d time.Duration) *connectorv1.ExportResult {
	r := reported(port.Throttled, true)
	r.Error.RetryAfter = durationpb.New(d)
	return r
}

func TestWhatBecomesOfAnExportAfterAnAttempt(t *testing.T) {
	t.Parallel()
	crash := &connector.CrashError{Type: "X", Reason: "signal 9"}
	broken := &connector.ContractError{Type: "X", Reason: "no result"}
	gone := &connector.UnavailableError{Type: "X", Reason: "backoff", RetryIn: 7 * time.Second}
	for _, tc := range []struct {
		name   string
		export domain.Export
		caps   capabilities
		end    ending
		want   verdict
	}{
		{
			"success is SENT",
			domain.Export{},
			fencedResumer,
			ending{result: &connectorv1.ExportResult{Success: true}},
			verdict{Outcome: domain.OutcomeDelivered, Status: domain.Sent, Worked: true},
		},
		{
			"success with the ERP's number is ACKED",
			domain.Export{},
			fencedResumer,
			ending{result: &connectorv1.ExportResult{Success: true, ErpOrderId: "SO-1"}},
			verdict{Outcome: domain.OutcomeDelivered, Status: domain.Acked, Worked: true},
		},
		{
			"success counts even while the host stops",
			domain.Export{},
			fencedResumer,
			ending{result: &connectorv1.ExportResult{Success: true}, stopping: true},
			verdict{Outcome: domain.OutcomeDelivered, Status: domain.Sent, Worked: true},
		},

		{
			"a final error is FAILED",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.InvalidOrder, false), checkpoint: true},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.InvalidOrder, Worked: true},
		},
		{
			"an unknown outcome is never retried, whatever the connector says",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.OutcomeUnknown, true)},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.OutcomeUnknown, Worked: true},
		},
		{
			"a final NOT_FOUND is about the order",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.NotFound, false)},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.NotFound},
		},

		{
			"an error that may pass is retried",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.Internal, true)},
			verdict{Outcome: domain.OutcomeRetry, Status: domain.Pending, Code: port.Internal, In: 2 * time.Second, Failure: true},
		},
		{
			"later ones wait longer",
			domain.Export{FailureCount: 3},
			fencedResumer,
			ending{result: reported(port.Internal, true)},
			verdict{Outcome: domain.OutcomeRetry, Status: domain.Pending, Code: port.Internal, In: 16 * time.Second, Failure: true},
		},
		{
			"the last one is FAILED",
			domain.Export{FailureCount: 9},
			fencedResumer,
			ending{result: reported(port.Internal, true)},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.Internal, Failure: true},
		},
		{
			"the last one with a checkpoint is unknown",
			domain.Export{FailureCount: 9},
			fencedResumer,
			ending{result: reported(port.Internal, true), checkpoint: true},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.OutcomeUnknown, Failure: true},
		},

		{
			"an outage defers and counts against the circuit",
			domain.Export{FailureCount: 9},
			fencedResumer,
			ending{result: reported(port.Unreachable, true)},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Unreachable, Outage: port.Unreachable},
		},
		{
			"a wrong config is an outage although it is final",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.InvalidConfig, false)},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.InvalidConfig, Outage: port.InvalidConfig},
		},
		{
			"a throttle never counts and holds the lane as long as asked",
			domain.Export{FailureCount: 9, AttemptCount: 1},
			fencedResumer,
			ending{result: throttledFor(30 * time.Second)},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Throttled, In: 30 * time.Second, Hold: 30 * time.Second},
		},
		{
			"a throttle holds the lane for longer than any pause of ours, if asked to",
			domain.Export{AttemptCount: 1},
			fencedResumer,
			ending{result: throttledFor(time.Hour)},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Throttled, In: time.Hour, Hold: time.Hour},
		},
		{
			"a throttle that names no time may be about this order alone",
			domain.Export{AttemptCount: 4},
			fencedResumer,
			ending{result: reported(port.Throttled, true)},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Throttled, In: 16 * time.Second},
		},
		{
			"a connector can't claim the host's own codes",
			domain.Export{},
			fencedResumer,
			ending{result: reported(port.ConnectorUnavailable, true)},
			verdict{Outcome: domain.OutcomeRetry, Status: domain.Pending, Code: port.Internal, In: 2 * time.Second, Failure: true},
		},
		{
			"what the host could not store is the host's fault",
			domain.Export{FailureCount: 9},
			fencedResumer,
			ending{result: reported(port.Internal, true), storage: true},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Internal, In: storagePause},
		},
		{
			"what the host could not store does not settle a doubt of the connector's",
			domain.Export{},
			neither,
			ending{result: reported(port.OutcomeUnknown, false), storage: true},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.OutcomeUnknown, Worked: true},
		},

		{
			"no process: deferred, and the lane holds",
			domain.Export{},
			neither,
			ending{err: gone},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.ConnectorUnavailable, Hold: 7 * time.Second},
		},

		{
			"a first crash runs again at once",
			domain.Export{},
			fencedResumer,
			ending{err: crash, checkpoint: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.ConnectorCrashed, Crash: true},
		},
		{
			"without fence, not before a late writer is through",
			domain.Export{},
			resumer,
			ending{err: crash, checkpoint: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.ConnectorCrashed, Crash: true, In: 15 * time.Second},
		},
		{
			"without resume it is unknown",
			domain.Export{},
			neither,
			ending{err: crash},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown, Crash: true},
		},
		{
			"a fence without a checkpoint proves that nothing was made",
			domain.Export{},
			fencedOnly,
			ending{err: crash},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.ConnectorCrashed, Crash: true},
		},
		{
			"the third crash alone is FAILED",
			domain.Export{CrashCount: 3},
			fencedResumer,
			ending{err: crash},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.ConnectorCrashed, Crash: true},
		},
		{
			"the third crash alone with a checkpoint is unknown",
			domain.Export{CrashCount: 3},
			fencedResumer,
			ending{err: crash, checkpoint: true},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.OutcomeUnknown, Crash: true},
		},

		{
			"a broken contract counts",
			domain.Export{},
			fencedResumer,
			ending{err: broken, checkpoint: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Internal, In: 2 * time.Second, Failure: true},
		},
		{
			"a broken contract without resume is unknown",
			domain.Export{},
			neither,
			ending{err: broken},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown},
		},
		{
			"a deadline counts, also against the circuit",
			domain.Export{},
			fencedResumer,
			ending{err: context.DeadlineExceeded, checkpoint: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Timeout, In: 2 * time.Second, Failure: true, Outage: port.Timeout},
		},
		{
			"the last deadline with a checkpoint is unknown",
			domain.Export{FailureCount: 9},
			fencedResumer,
			ending{err: context.DeadlineExceeded, checkpoint: true},
			verdict{Outcome: domain.OutcomeFailed, Status: domain.Failed, Code: port.OutcomeUnknown, Failure: true, Outage: port.Timeout},
		},

		{
			"cut short by a stop, nothing made: deferred",
			domain.Export{},
			fencedResumer,
			ending{err: context.Canceled, stopping: true},
			verdict{Outcome: domain.OutcomeDeferred, Status: domain.Pending, Code: port.Internal},
		},
		{
			"cut short by a stop after a checkpoint: lost",
			domain.Export{},
			fencedResumer,
			ending{err: context.Canceled, stopping: true, checkpoint: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Internal},
		},
		{
			"cut short by a stop without resume: unknown",
			domain.Export{},
			neither,
			ending{err: context.Canceled, stopping: true},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown},
		},
		{
			"a stray error is an unknown outcome",
			domain.Export{},
			neither,
			ending{err: errors.New("stream reset")},
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, summary(testRules().decide(tc.export, tc.caps, tc.end))); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatBecomesOfAnExportWhoseHostDied(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		caps capabilities
		left time.Duration
		want verdict
	}{
		{
			"fenced: at once", fencedResumer, time.Minute,
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Internal},
		},
		{
			"not fenced: when the lease is over", resumer, 40 * time.Second,
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Internal, In: 40 * time.Second},
		},
		{
			"not fenced, lease long over: at once", resumer, -time.Hour,
			verdict{Outcome: domain.OutcomeLost, Status: domain.Pending, Code: port.Internal},
		},
		{
			"not resumable: a person decides", neither, time.Minute,
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown},
		},
		{
			"fenced, not resumable: the dead host may have got further than is known", fencedOnly, time.Minute,
			verdict{Outcome: domain.OutcomeLost, Status: domain.Failed, Code: port.OutcomeUnknown},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := decision{finish: testRules().reclaim(tc.caps, tc.left, "why")}
			if diff := cmp.Diff(tc.want, summary(got)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnUnknownOutcomeSaysBothThatItIsAndWhy(t *testing.T) {
	t.Parallel()
	end := ending{result: reported(port.Internal, true), checkpoint: true}
	got := testRules().decide(domain.Export{FailureCount: 9}, fencedResumer, end).finish.Error
	want := &domain.ExportError{
		Code: port.OutcomeUnknown, Message: "given up after 10 failed attempts: why",
		Details: map[string]string{"last_code": "INTERNAL", "last_message": "why"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestViolationsAreFoldedIntoDetails(t *testing.T) {
	t.Parallel()
	got := reportedError(&connectorv1.Error{
		Code: connectorv1.ErrorCode_ERROR_CODE_INVALID_ORDER, Message: "wrong",
		Details:    map[string]string{"a": "b"},
		Violations: []*connectorv1.FieldViolation{{Path: "lines[0].qty", Message: "too many decimals"}},
	})
	want := map[string]string{"a": "b", "violation lines[0].qty": "too many decimals"}
	if diff := cmp.Diff(want, got.Details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

func TestTextsOfConnectorsFitAnyDatabase(t *testing.T) {
	t.Parallel()
	long := make([]byte, 10_000)
	for i := range long {
		long[i] = "ä"[i%2]
	}
	for in, want := range map[string]string{
		"plain": "plain", "nul\x00": "nul\uFFFD", "bad\xff": "bad\uFFFD", "größe": "größe",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean(string(long)); len(got) > maxText+len("…") {
		t.Errorf("a long text keeps %d bytes", len(got))
	}
}

func TestWhichPayloadIsRecorded(t *testing.T) {
	t.Parallel()
	stored := &payload.Object{Key: "exports/o/new", Size: 3}
	for _, tc := range []struct {
		name    string
		export  domain.Export
		result  string
		stored  *payload.Object
		wantKey string
	}{
		{"what this attempt stored", domain.Export{}, "exports/o/new", stored, "exports/o/new"},
		{"what this attempt stored, if the result names none", domain.Export{}, "", stored, "exports/o/new"},
		{"what it stored, if the result names something unknown", domain.Export{}, "exports/o/other", stored, "exports/o/new"},
		{"what is recorded stays, if that was delivered", domain.Export{StorageKey: "exports/o/old"}, "exports/o/old", stored, ""},
		{"what is recorded stays, if this attempt stored nothing", domain.Export{StorageKey: "exports/o/old"}, "exports/o/old", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			end := ending{result: &connectorv1.ExportResult{Success: true, StorageKey: tc.result}, stored: tc.stored}
			if got := testRules().decide(tc.export, fencedResumer, end).finish.StorageKey; got != tc.wantKey {
				t.Errorf("recorded key %q, want %q", got, tc.wantKey)
			}
		})
	}
}

func TestBackoffIsBoundedAndNeverZero(t *testing.T) {
	t.Parallel()
	r := newRules(Knobs{}.withDefaults())
	for n := range 100 {
		if got := r.backoff(n); got < r.knobs.RetryFirst*8/10 || got > r.knobs.RetryLongest*12/10 {
			t.Errorf("after %d failures the pause is %v", n, got)
		}
	}
}

func TestALaneIsWideOnlyWhileAttemptsAreShortAndOrdersSmall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		took time.Duration
		size int
		max  int
		want int
	}{
		{"nothing is known", 0, 0, 128, firstWidth},
		{"brisk", 20 * time.Millisecond, 2000, 128, 128},
		{"brisk, with large orders", 20 * time.Millisecond, 2 << 20, 128, 16},
		{"brisk, with huge orders", 20 * time.Millisecond, 64 << 20, 128, 1},
		{"half as brisk", 500 * time.Millisecond, 2000, 128, 64},
		{"slow", 10 * time.Second, 2000, 128, leastWidth},
		{"bounded by the connector", 20 * time.Millisecond, 2000, 4, 4},
		{"bounded by the connector and slow", time.Minute, 2000, 4, 4},
	} {
		var p pace
		p.weigh([]store.Claimed{{Order: make([]byte, tc.size)}})
		if tc.took > 0 {
			for range 100 {
				p.note(tc.took)
			}
		}
		if got := p.width(tc.max); got != tc.want {
			t.Errorf("%s: width %d, want %d", tc.name, got, tc.want)
		}
	}
}
