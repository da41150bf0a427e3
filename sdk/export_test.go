package sdk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

func TestPayloadsOfAnySizeAreStoredExactly(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, port.MaxChunk - 1, port.MaxChunk, port.MaxChunk + 1, 4 << 20, 5<<20 + 17} {
		data := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		export := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
			payload, err := req.StorePayload(ctx, "big.json", data)
			if payload.Size != int64(size) {
				t.Errorf("size %d, want %d", payload.Size, size)
			}
			return sdk.ExportResult{}, err
		}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
		result, err := export.Run(t.Context())
		if err != nil || !result.GetSuccess() || result.GetStorageKey() != sdktest.StorageKey("big.json") {
			t.Fatalf("%d bytes: %v, %v", size, result, err)
		}
		if !bytes.Equal(export.Payload.Data, data) {
			t.Errorf("%d bytes: other bytes were stored", size)
		}
	}
}

func TestLargeOrdersArriveWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, length int }{
		"5 MiB in one line": {1, 5 << 20},
		"10,000 lines":      {10_000, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := sdktest.New(t, scripted{export: func(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
				last := req.Order.Lines[len(req.Order.Lines)-1]
				return sdk.ExportResult{Metadata: map[string]string{
					"last": fmt.Sprintf("%d %d", last.LineNo, len(*last.Description)),
				}}, nil
			}}).NewExport(ftpConfigJSON, sdktest.OrderWithLines(c.lines, c.length)).Run(t.Context())
			want := fmt.Sprintf("%d %d", c.lines, c.length)
			if err != nil || result.GetMetadata()["last"] != want {
				t.Errorf("got %v, %v; want %s", result.GetMetadata(), err, want)
			}
		})
	}
}

// fenced saves a checkpoint and then makes its visible step, once.
func fenced(visible *int) scripted {
	return scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		if req.Resume.Checkpoint != nil && *visible > 0 {
			return sdk.ExportResult{Recovered: true}, nil
		}
		if _, err := req.StorePayload(ctx, "o.json", []byte("order")); err != nil {
			return sdk.ExportResult{}, err
		}
		if err := req.SaveCheckpoint(ctx, []byte("staged"), "ref-1"); err != nil {
			return sdk.ExportResult{}, err
		}
		*visible++
		return sdk.ExportResult{ExternalRef: "ref-1"}, nil
	}}
}

func TestAHostThatGoesAwayIsFailedAppliedOrNotAndTheNextAttemptKnows(t *testing.T) {
	t.Parallel()
	type faults struct{ payload, checkpoint sdktest.Fault }
	for name, c := range map[string]struct {
		faults     faults
		checkpoint bool // durable after the first attempt
		payload    bool
	}{
		"payload not stored":                {faults{payload: sdktest.CutBefore}, false, false},
		"payload stored, answer lost":       {faults{payload: sdktest.CutAfter}, false, true},
		"checkpoint not saved":              {faults{checkpoint: sdktest.CutBefore}, false, true},
		"checkpoint saved, but not so said": {faults{checkpoint: sdktest.CutAfter}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visible := 0
			export := sdktest.New(t, fenced(&visible)).NewExport(ftpConfigJSON, sdktest.SampleOrder())
			export.OnPayload = func(int) sdktest.Fault { return c.faults.payload }
			export.OnCheckpoint = func(int) sdktest.Fault { return c.faults.checkpoint }
			_, err := export.Run(t.Context())
			wantStatus(t, err, codes.Canceled)
			if visible != 0 {
				t.Error("the visible step was made without a confirmed checkpoint")
			}
			if (export.Checkpoint != nil) != c.checkpoint || (export.Payload != nil) != c.payload {
				t.Errorf("durable: checkpoint %q, payload %v", export.Checkpoint, export.Payload)
			}
			export.OnPayload, export.OnCheckpoint = nil, nil
			for range 2 { // the second one stands for a lost result
				result, err := export.Run(t.Context())
				if err != nil || !result.GetSuccess() {
					t.Fatalf("got %v, %v", result, err)
				}
			}
			if visible != 1 {
				t.Errorf("%d visible steps, want 1", visible)
			}
		})
	}
}

func TestResumeTellsAnEmptyCheckpointFromNone(t *testing.T) {
	t.Parallel()
	var seen []sdk.Resume
	export := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		seen = append(seen, req.Resume)
		if _, err := req.StorePayload(ctx, "o.json", []byte("order")); err != nil {
			return sdk.ExportResult{}, err
		}
		return sdk.ExportResult{}, req.SaveCheckpoint(ctx, nil, "")
	}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
	for range 2 {
		if _, err := export.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0].Checkpoint != nil || seen[0].Payload != nil {
		t.Errorf("first attempt: %+v", seen[0])
	}
	if seen[1].Checkpoint == nil || seen[1].Payload.StorageKey != sdktest.StorageKey("o.json") || seen[1].Payload.Size != 5 {
		t.Errorf("second attempt: %+v", seen[1])
	}
}

func TestARefusalEndsTheAttempt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason    connectorv1.RefusalReason
		want      sdk.RefusalReason
		retryable bool
	}{
		{connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED, sdk.RefusedSuperseded, true},
		{connectorv1.RefusalReason_REFUSAL_REASON_STORAGE, sdk.RefusedStorage, true},
		{connectorv1.RefusalReason_REFUSAL_REASON_TOO_LARGE, sdk.RefusedTooLarge, false},
		{connectorv1.RefusalReason_REFUSAL_REASON_INVALID, sdk.RefusedInvalid, false},
		{connectorv1.RefusalReason(99), sdk.RefusedUnspecified, true},
	} {
		t.Run(c.reason.String(), func(t *testing.T) {
			t.Parallel()
			export := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
				_, err := req.StorePayload(ctx, "o.json", []byte("order"))
				var refused *sdk.RefusedError
				if !errors.As(err, &refused) || refused.Reason != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
				if again := req.SaveCheckpoint(ctx, nil, ""); !errors.As(again, &refused) {
					t.Errorf("after a refusal the next request got %v", again)
				}
				return sdk.ExportResult{}, err
			}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
			export.OnPayload = func(int) sdktest.Fault { return sdktest.Refuse(c.reason) }
			result, err := export.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantCode(t, result.GetError(), port.Internal)
			if result.GetError().GetRetryable() != c.retryable {
				t.Errorf("got %v", result)
			}
			if c.want == sdk.RefusedSuperseded && !strings.Contains(result.GetError().GetMessage(), "superseded") {
				t.Errorf("got %v", result)
			}
		})
	}
}

func TestARefusedCheckpointIsRetryableWhenAnEarlierOneWasSaved(t *testing.T) {
	t.Parallel()
	visible := 0
	export := sdktest.New(t, fenced(&visible)).NewExport(ftpConfigJSON, sdktest.SampleOrder())
	export.Checkpoint = []byte("staged")
	export.OnCheckpoint = func(int) sdktest.Fault {
		return sdktest.Refuse(connectorv1.RefusalReason_REFUSAL_REASON_INVALID)
	}
	result, err := export.Run(t.Context())
	if err != nil || !result.GetError().GetRetryable() || visible != 0 {
		t.Errorf("got %v, %v: a final error would say that the ERP does not have the order", result, err)
	}
}

func TestSuccessAfterARefusalIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	export := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		_ = req.SaveCheckpoint(ctx, []byte("x"), "")
		return sdk.ExportResult{}, nil
	}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
	export.OnCheckpoint = func(int) sdktest.Fault {
		return sdktest.Refuse(connectorv1.RefusalReason_REFUSAL_REASON_SUPERSEDED)
	}
	_, err := export.Run(t.Context())
	wantStatus(t, err, codes.Internal)
}

func TestCheckpointsHaveABound(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]bool{port.MaxCheckpoint: true, port.MaxCheckpoint + 1: false} {
		result, err := run(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
			return sdk.ExportResult{}, req.SaveCheckpoint(ctx, make([]byte, size), "")
		}})
		if err != nil || result.GetSuccess() != want {
			t.Errorf("%d bytes: got %v, %v", size, result, err)
		}
	}
}

func TestErrorsOfExportTellWhatIsKnown(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	plain := errors.New("something else")
	type outcome struct {
		status    codes.Code // OK: a result
		code      port.Code
		retryable bool
	}
	known := func(code port.Code, retryable bool) outcome { return outcome{codes.OK, code, retryable} }
	unknown := outcome{codes.Internal, "", false}
	for name, c := range map[string]struct {
		err                                   error
		resume, afterCheckpoint, notResumable outcome
	}{
		"final error of the connector": {
			fmt.Errorf("outer: %w", sdk.Errorf(sdk.RejectedByERP, "no")),
			known(port.RejectedByERP, false), known(port.RejectedByERP, false), known(port.RejectedByERP, false),
		},
		"failed dial":             {fmt.Errorf("connect: %w", dial), known(port.Unreachable, true), known(port.Unreachable, true), known(port.Unreachable, true)},
		"failed lookup":           {&net.DNSError{Err: "no such host", Name: "x"}, known(port.Unreachable, true), known(port.Unreachable, true), known(port.Unreachable, true)},
		"time-out in the middle":  {read, known(port.Timeout, true), known(port.Timeout, true), known(port.OutcomeUnknown, false)},
		"a deadline of its own":   {context.DeadlineExceeded, known(port.Timeout, true), known(port.Timeout, true), known(port.OutcomeUnknown, false)},
		"an unknown certificate":  {x509.UnknownAuthorityError{}, known(port.HostKeyMismatch, true), known(port.HostKeyMismatch, true), known(port.OutcomeUnknown, false)},
		"a certificate of others": {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, known(port.HostKeyMismatch, true), known(port.HostKeyMismatch, true), known(port.OutcomeUnknown, false)},
		"anything else":           {plain, known(port.Internal, true), unknown, known(port.OutcomeUnknown, false)},
		"a code of the host's": {
			&sdk.Error{Code: port.ConnectorCrashed, Message: "x"},
			known(port.Internal, false), known(port.Internal, false), known(port.Internal, false),
		},
		"an outcome unknown is never retryable": {
			&sdk.Error{Code: sdk.OutcomeUnknown, Retryable: true},
			known(port.OutcomeUnknown, false), known(port.OutcomeUnknown, false), known(port.OutcomeUnknown, false),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(where string, want outcome, resumable, checkpoint bool) {
				result, err := run(t, scripted{
					describe: func(d *sdk.Description) { d.Resume = resumable },
					export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
						if checkpoint {
							if err := req.SaveCheckpoint(ctx, []byte("x"), ""); err != nil {
								t.Error(err)
							}
						}
						return sdk.ExportResult{}, c.err
					},
				})
				wantStatus(t, err, want.status)
				if want.status == codes.OK {
					wantCode(t, result.GetError(), want.code)
					if result.GetError().GetRetryable() != want.retryable {
						t.Errorf("%s: got %v", where, result)
					}
				}
			}
			check("before a checkpoint", c.resume, true, false)
			check("after a checkpoint", c.afterCheckpoint, true, true)
			check("without resume", c.notResumable, false, false)
		})
	}
}

func TestAPanicIsAnUnknownOutcomeOfOneCall(t *testing.T) {
	t.Parallel()
	for name, blow := range map[string]func(){
		"panic":        func() { panic("at " + canary) },
		"nil map":      func() { var m map[string]int; m["x"] = 1 }, //nolint:staticcheck // on purpose
		"goexit":       runtime.Goexit,
		"panic of nil": func() { panic(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other, blown := make(chan struct{}), make(chan struct{})
			host := sdktest.New(t, scripted{
				export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
					if req.ExportID == "other" {
						close(other)
						<-blown
						return sdk.ExportResult{}, nil
					}
					<-other
					if err := req.SaveCheckpoint(ctx, []byte("x"), ""); err != nil {
						t.Error(err)
					}
					blow()
					return sdk.ExportResult{}, nil
				},
				test: func(context.Context, sdk.TestRequest) (sdk.TestResult, error) { blow(); return sdk.TestResult{}, nil },
			})
			_, err := host.TestConnection(t.Context(), ftpConfigJSON)
			wantStatus(t, err, codes.Internal)
			var wg sync.WaitGroup
			wg.Go(func() {
				export := host.NewExport(ftpConfigJSON, sdktest.SampleOrder())
				export.ID = "other"
				if result, err := export.Run(t.Context()); err != nil || !result.GetSuccess() {
					t.Errorf("the other call: %v, %v", result, err)
				}
			})
			stream, err := host.Client().Export(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			send(t, stream, &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: start("panics")}})
			if _, err := stream.Recv(); err != nil {
				t.Error(err)
			}
			send(t, stream, &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{}})
			_, err = stream.Recv()
			wantStatus(t, err, codes.Internal)
			if strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("the panic's value is in %v", err)
			}
			close(blown)
			wg.Wait()
		})
	}
}

func stored(data []byte) *connectorv1.PayloadStored {
	sum := sha256.Sum256(data)
	return &connectorv1.PayloadStored{StorageKey: "key", Size: uint64(len(data)), Sha256: sum[:]}
}

type requests interface {
	Send(*connectorv1.ExportRequest) error
}

func send(t *testing.T, stream requests, message *connectorv1.ExportRequest) {
	t.Helper()
	if err := stream.Send(message); err != nil {
		t.Fatal(err)
	}
}

func start(id string) *connectorv1.ExportStart {
	return &connectorv1.ExportStart{
		ExportId: id, Attempt: 1, ExportFormatVersion: sdk.FormatOrderflowJSONV1, DraftOrder: sdktest.SampleOrder(),
		Connection: &connectorv1.Connection{Id: "c", OrgSlug: "acme", Config: []byte(ftpConfigJSON)},
	}
}

func TestMessagesOutOfOrderAreRefusedAndUnknownOnesSkipped(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		return sdk.ExportResult{}, req.SaveCheckpoint(ctx, []byte("x"), "")
	}})
	saved := &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{}}
	stored := &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_PayloadStored{PayloadStored: &connectorv1.PayloadStored{}}}
	begin := func(s *connectorv1.ExportStart) *connectorv1.ExportRequest {
		return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: s}}
	}
	noOrder := start("x")
	noOrder.DraftOrder = nil
	for name, c := range map[string]struct {
		messages []*connectorv1.ExportRequest
		want     codes.Code
	}{
		"a proper conversation":    {[]*connectorv1.ExportRequest{begin(start("x")), saved}, codes.OK},
		"an unknown message":       {[]*connectorv1.ExportRequest{begin(start("x")), {}, saved}, codes.OK},
		"the wrong answer":         {[]*connectorv1.ExportRequest{begin(start("x")), stored}, codes.Internal},
		"no answer at all":         {[]*connectorv1.ExportRequest{begin(start("x"))}, codes.Internal},
		"no start":                 {[]*connectorv1.ExportRequest{saved}, codes.InvalidArgument},
		"nothing":                  {nil, codes.InvalidArgument},
		"a start without an id":    {[]*connectorv1.ExportRequest{begin(start(""))}, codes.InvalidArgument},
		"a start without an order": {[]*connectorv1.ExportRequest{begin(noOrder)}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, err := host.Client().Export(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, message := range c.messages {
				_ = stream.Send(message)
			}
			_ = stream.CloseSend()
			for err = error(nil); err == nil; {
				_, err = stream.Recv()
			}
			if c.want != codes.OK {
				wantStatus(t, err, c.want)
			} else if err.Error() != "EOF" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestACallThatIsCancelledEndsWithinASecond(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"a connector that listens": false, "a connector that is deaf": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running, release := make(chan struct{}), make(chan struct{})
			late := make(chan error, 1)
			export := sdktest.New(t, scripted{export: func(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
				close(running)
				if !deaf {
					<-ctx.Done()
					return sdk.ExportResult{}, ctx.Err()
				}
				<-release
				late <- req.SaveCheckpoint(context.WithoutCancel(ctx), []byte("late"), "")
				return sdk.ExportResult{}, nil
			}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
			ctx, cancel := context.WithCancel(t.Context())
			var cancelled time.Time
			go func() {
				<-running
				cancelled = time.Now()
				cancel()
			}()
			_, err := export.Run(ctx) // waits until the service has returned
			wantStatus(t, err, codes.Canceled)
			if took := time.Since(cancelled); took > time.Second+200*time.Millisecond {
				t.Errorf("took %v", took)
			}
			close(release)
			if deaf && <-late == nil {
				t.Error("a checkpoint was taken after the call had ended")
			}
			if export.Checkpoint != nil {
				t.Error("a late checkpoint is durable")
			}
		})
	}
}

func TestARequestIsOfNoUseAfterItsCall(t *testing.T) {
	t.Parallel()
	var kept *sdk.ExportRequest
	result, err := run(t, scripted{export: func(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		kept = req
		return sdk.ExportResult{}, nil
	}})
	if err != nil || !result.GetSuccess() {
		t.Fatalf("got %v, %v", result, err)
	}
	_, stored := kept.StorePayload(context.Background(), "late.json", nil)
	for _, err := range []error{stored, kept.SaveCheckpoint(context.Background(), nil, "")} {
		if err == nil || !strings.Contains(err.Error(), "the export call is over") {
			t.Errorf("got %v", err)
		}
	}
	kept.Progress("nobody hears this")
}

func TestADeadlineIsPassedOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := sdktest.New(t, scripted{export: func(ctx context.Context, _ *sdk.ExportRequest) (sdk.ExportResult, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		<-ctx.Done()
		return sdk.ExportResult{}, fmt.Errorf("waiting: %w", ctx.Err())
	}}).NewExport(ftpConfigJSON, sdktest.SampleOrder()).Run(ctx)
	wantStatus(t, err, codes.DeadlineExceeded)
}

func TestResultsCanAlwaysBeSent(t *testing.T) {
	t.Parallel()
	many := make(map[string]string)
	for i := range 100 {
		many[fmt.Sprintf("%03d\xff", i)] = strings.Repeat("x", 1<<20) + canary
	}
	result, err := run(t, scripted{export: func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error) {
		return sdk.ExportResult{DropzonePath: "/in/\xff", ExternalRef: "\xfe", ERPOrderID: "SO-1", Metadata: many, Recovered: true}, nil
	}})
	if err != nil || !result.GetSuccess() || len(result.GetMetadata()) != 64 || result.GetErpOrderId() != "SO-1" || !result.GetRecovered() {
		t.Errorf("got %v, %v", result, err)
	}
	result, err = run(t, scripted{export: func(context.Context, *sdk.ExportRequest) (sdk.ExportResult, error) {
		return sdk.ExportResult{}, &sdk.Error{
			Code: sdk.InvalidOrder, Message: strings.Repeat("\xff", 40<<20) + canary, RetryAfter: time.Minute,
			Details:    map[string]string{"why": "it holds " + canary},
			Violations: []sdk.Violation{{Path: "lines[0].qty", Message: "bad: " + canary}},
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, result.GetError(), port.InvalidOrder)
	if result.GetError().GetRetryAfter().AsDuration() != time.Minute || len(result.GetError().GetViolations()) != 1 {
		t.Errorf("got %v", result.GetError().GetRetryAfter())
	}
	if strings.Contains(result.String(), canary) {
		t.Error("a secret is in the result")
	}
}

func TestAFormatThatTheConnectorCannotWriteIsRefused(t *testing.T) {
	t.Parallel()
	export := sdktest.New(t, scripted{}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
	export.FormatVersion = "orderflow_export_json_v9"
	result, err := export.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, result.GetError(), port.Unimplemented)
}

func TestABadConfigIsRefusedWithoutTheConnector(t *testing.T) {
	t.Parallel()
	result, err := sdktest.New(t, scripted{}).NewExport(`{"host":"h"}`, sdktest.SampleOrder()).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, result.GetError(), port.InvalidConfig)
	if v := result.GetError().GetViolations(); len(v) != 1 || v[0].GetPath() != "password" {
		t.Errorf("got %v", result)
	}
}

func TestProgressIsReportedWithoutSecrets(t *testing.T) {
	t.Parallel()
	export := sdktest.New(t, scripted{export: func(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		req.Progress("%d of %s", 1, canary)
		return sdk.ExportResult{}, nil
	}}).NewExport(ftpConfigJSON, sdktest.SampleOrder())
	if _, err := export.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(export.Progress) != 1 || export.Progress[0] != "1 of [secret]" {
		t.Errorf("got %q", export.Progress)
	}
}

func TestConcurrentCallsKeepTheirConfigsApart(t *testing.T) {
	t.Parallel()
	host := sdktest.New(t, scripted{export: func(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
		cfg, err := sdk.DecodeConfig[ftpConfig](req.Connection)
		return sdk.ExportResult{ExternalRef: cfg.Host}, err
	}})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("host-%d-%d", worker, i%5)
				export := host.NewExport(`{"host":"`+name+`","password":"x"}`, sdktest.SampleOrder())
				stream, err := host.Client().Export(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				s := start(export.ID)
				s.Connection.Config = []byte(export.Config)
				_ = stream.Send(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: s}})
				response, err := stream.Recv()
				if err != nil || response.GetResult().GetExternalRef() != name {
					t.Errorf("got %v, %v; want %s", response, err, name)
				}
			}
		})
	}
	wg.Wait()
}
