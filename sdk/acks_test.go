package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

// answering is a connector whose ERP answers later.
type answering struct {
	scripted
	fetch  func(context.Context, sdk.FetchAcksRequest, func(sdk.Ack) error) error
	settle func(context.Context, sdk.SettleAcksRequest) (sdk.SettleAcksResult, error)
}

func (c answering) FetchAcks(ctx context.Context, req sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
	return c.fetch(ctx, req, yield)
}

func (c answering) SettleAcks(ctx context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
	return c.settle(ctx, req)
}

func TestAConnectorWithoutAcksIsUnimplemented(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, scripted{})
	_, err := host.FetchAcks(t.Context(), ftpConfigJSON, 0)
	wantStatus(t, err, codes.Unimplemented)
	_, err = host.SettleAcks(t.Context(), ftpConfigJSON, connectorv1.Verdict_VERDICT_PROCESSED, "h")
	wantStatus(t, err, codes.Unimplemented)
}

func TestAcksArriveWithTheirAnswer(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	host := sdktest.New(t, answering{fetch: func(_ context.Context, _ sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
		return errors.Join(
			yield(sdk.Ack{Handle: "1", ExternalRef: "a", Answer: sdk.Accepted{ERPOrderID: "SO-1"}, ProcessedAt: at}),
			yield(sdk.Ack{Handle: "2", ExternalRef: "b", Answer: sdk.Declined{Code: "E7", Message: "no \xff"}}),
			yield(sdk.Ack{Handle: "3", Answer: sdk.Malformed{Reason: "not JSON"}}),
		)
	}})
	if c := host.Describe().GetCapabilities(); c[0] != connectorv1.Capability_CAPABILITY_ACKS {
		t.Errorf("capabilities %v", c)
	}
	acks, err := host.FetchAcks(t.Context(), ftpConfigJSON, 0)
	if err != nil || len(acks) != 3 {
		t.Fatalf("got %v, %v", acks, err)
	}
	if acks[0].GetPositive().GetErpOrderId() != "SO-1" || !acks[0].GetProcessedAt().AsTime().Equal(at) ||
		acks[1].GetNegative().GetErrorCode() != "E7" || acks[1].GetProcessedAt() != nil || acks[2].GetMalformed() == nil {
		t.Errorf("got %v", acks)
	}
}

func TestALimitOnAcksIsKept(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, answering{fetch: func(_ context.Context, req sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
		for i := range 10 {
			if err := yield(sdk.Ack{Handle: fmt.Sprint(i), Answer: sdk.Malformed{}}); err != nil {
				return fmt.Errorf("ack %d of %d: %w", i, req.Limit, err)
			}
		}
		return nil
	}})
	for limit, want := range map[uint32]int{0: 10, 3: 3, 10: 10, 99: 10} {
		acks, err := host.FetchAcks(t.Context(), ftpConfigJSON, limit)
		if err != nil || len(acks) != want {
			t.Errorf("limit %d: %d acks, %v", limit, len(acks), err)
		}
	}
}

func TestAFailedFetchCarriesTheError(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, answering{fetch: func(_ context.Context, _ sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
		return errors.Join(yield(sdk.Ack{Handle: "1"}), sdk.Errorf(sdk.PermissionDenied, "not with %s", canary))
	}})
	acks, err := host.FetchAcks(t.Context(), ftpConfigJSON, 0)
	wantStatus(t, err, codes.Aborted)
	e := port.ErrorFrom(err)
	wantCode(t, e, port.PermissionDenied)
	if !e.GetRetryable() || e.GetMessage() != "not with [secret]" || len(acks) != 1 {
		t.Errorf("got %v and %v", e, acks)
	}
	_, err = host.FetchAcks(t.Context(), `{}`, 0)
	wantStatus(t, err, codes.FailedPrecondition)
	wantCode(t, port.ErrorFrom(err), port.InvalidConfig)
	if port.ErrorFrom(errors.New("plain")) != nil || port.ErrorFrom(nil) != nil {
		t.Error("other errors carry nothing")
	}
}

func TestSettlementsAreReportedOneByOne(t *testing.T) {
	t.Parallel()
	var got []sdk.Settlement
	var whole error
	host := sdktest.New(t, answering{settle: func(_ context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
		got = req.Settlements
		var result sdk.SettleAcksResult
		result.Fail("b", sdk.Errorf(sdk.Conflict, "in the way"))
		return result, whole
	}})
	failed, err := host.SettleAcks(t.Context(), ftpConfigJSON, connectorv1.Verdict_VERDICT_REJECTED, "a", "b", "c")
	if err != nil || len(failed) != 1 || len(got) != 3 || got[0].Verdict != sdk.Rejected {
		t.Errorf("got %v, %v; the connector got %v", failed, err, got)
	}
	wantCode(t, failed["b"], port.Conflict)

	got = nil
	failed, err = host.SettleAcks(t.Context(), ftpConfigJSON, connectorv1.Verdict(42), "a")
	if err != nil || got != nil {
		t.Errorf("an unknown verdict reached the connector: %v, %v", got, err)
	}
	wantCode(t, failed["a"], port.Unimplemented)

	whole = context.DeadlineExceeded
	failed, err = host.SettleAcks(t.Context(), ftpConfigJSON, connectorv1.Verdict_VERDICT_PROCESSED, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, failed["a"], port.Timeout)
	wantCode(t, failed["b"], port.Conflict)
}

func TestAPanicInFetchIsAStatus(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, answering{
		fetch:  func(context.Context, sdk.FetchAcksRequest, func(sdk.Ack) error) error { panic("x") },
		settle: func(context.Context, sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) { panic("x") },
	})
	_, err := host.FetchAcks(t.Context(), ftpConfigJSON, 0)
	wantStatus(t, err, codes.Internal)
	_, err = host.SettleAcks(t.Context(), ftpConfigJSON, connectorv1.Verdict_VERDICT_PROCESSED, "a")
	wantStatus(t, err, codes.Internal)
}
