package sdk_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest"
)

// booked is the checkpoint of a connector that creates documents: the
// reference that the document carries.
type booked struct {
	Reference string `json:"reference"`
}

var bookings = sdk.Checkpoints[booked]{
	Version: 2,
	// Version 1 had the bare reference.
	Upgrade: func(version int, data []byte) (booked, error) {
		if version != 1 {
			return booked{}, fmt.Errorf("version %d was never released", version)
		}
		return booked{Reference: strings.Trim(string(data), `"`)}, nil
	},
}

func ExampleCheckpoints() {
	for _, saved := range []string{
		`{"version":2,"data":{"reference":"OP-1"}}`, `{"version":1,"data":"OP-1"}`, `{"version":3,"data":{}}`,
	} {
		req := &sdk.ExportRequest{Resume: sdk.Resume{Checkpoint: []byte(saved)}}
		checkpoint, found, err := bookings.Load(req)
		fmt.Println(checkpoint.Reference, found, err)
	}
	// Output:
	// OP-1 true <nil>
	// OP-1 true <nil>
	//  true the checkpoint of an earlier attempt can't be understood: it has version 3, and this connector knows up to 2
}

// ledger is an ERP that knows documents by their reference.
type ledger struct{ documents map[string]string }

func (ledger) Describe() sdk.Description {
	return sdk.Description{
		Type: "EXAMPLE_LEDGER", Name: "Example ledger", Version: "1.0.0", Vendor: "Orderport",
		Summary: "Books each order as a document.", FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		ConfigSchema: []byte(`{"type":"object","additionalProperties":false}`),
	}
}

func (ledger) TestConnection(context.Context, sdk.TestRequest) (sdk.TestResult, error) {
	return sdk.TestResult{}, nil
}

// Export is the first attempt: nothing can have been booked.
func (l ledger) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	reference := "OP-" + req.ExportID[:8]
	if err := bookings.Save(ctx, req, booked{reference}, reference); err != nil {
		return sdk.ExportResult{}, err
	}
	return l.book(reference, req.Order.ID), nil
}

// ResumeExport looks first.
func (l ledger) ResumeExport(_ context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	checkpoint, _, err := bookings.Load(req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	if _, there := l.documents[checkpoint.Reference]; there {
		return sdk.ExportResult{ExternalRef: checkpoint.Reference, Recovered: true}, nil
	}
	return l.book(checkpoint.Reference, req.Order.ID), nil
}

func (l ledger) book(reference, order string) sdk.ExportResult {
	l.documents[reference] = order
	return sdk.ExportResult{ExternalRef: reference}
}

// FetchAcks answers for all documents at once.
func (l ledger) FetchAcks(_ context.Context, _ sdk.FetchAcksRequest, yield func(sdk.Ack) error) error {
	for reference := range l.documents {
		if err := yield(sdk.Ack{Handle: reference, ExternalRef: reference, Answer: sdk.Accepted{ERPOrderID: "SO-1"}}); err != nil {
			return err
		}
	}
	return nil
}

// SettleAcks forgets what the host has committed.
func (l ledger) SettleAcks(_ context.Context, req sdk.SettleAcksRequest) (sdk.SettleAcksResult, error) {
	for _, s := range req.Settlements {
		delete(l.documents, s.Handle)
	}
	return sdk.SettleAcksResult{}, nil
}

// A connector that creates documents looks for its reference before it creates
// one again. sdktest shows that a host that dies at the worst moment changes
// nothing.
func ExampleResumer() {
	t := &testing.T{} // yours
	erp := ledger{documents: map[string]string{}}
	export := sdktest.New(t, erp).NewExport(`{}`, sdktest.SampleOrder())

	export.OnCheckpoint = func(int) sdktest.Fault { return sdktest.CutAfter }
	_, err := export.Run(context.Background())
	fmt.Println("the host died:", err != nil, len(erp.documents))

	export.OnCheckpoint = nil
	for range 2 {
		result, err := export.Run(context.Background())
		fmt.Println(result.GetSuccess(), "recovered:", result.GetRecovered(), err, len(erp.documents))
	}
	// Output:
	// the host died: true 0
	// true recovered: false <nil> 1
	// true recovered: true <nil> 1
}

func ExampleAckSource() {
	t := &testing.T{} // yours
	host := sdktest.New(t, ledger{documents: map[string]string{"OP-1": "an order"}})
	acks, err := host.FetchAcks(context.Background(), `{}`, 0)
	fmt.Println(acks[0].GetExternalRef(), acks[0].GetPositive().GetErpOrderId(), err)

	_, err = host.SettleAcks(context.Background(), `{}`, connectorv1.Verdict_VERDICT_PROCESSED, acks[0].GetHandle())
	left, _ := host.FetchAcks(context.Background(), `{}`, 0)
	fmt.Println(len(left), err)
	// Output:
	// OP-1 SO-1 <nil>
	// 0 <nil>
}

func ExampleCodeOf() {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	fmt.Println(sdk.CodeOf(fmt.Errorf("log in: %w", dial)))
	fmt.Println(sdk.CodeOf(context.DeadlineExceeded))
	fmt.Println(sdk.CodeOf(errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [password]")))
	fmt.Println(sdk.CodeOf(sdk.Errorf(sdk.Throttled, "the night run has begun: %w", dial)))
	// Output:
	// UNREACHABLE
	// TIMEOUT
	// AUTHENTICATION_FAILED
	// THROTTLED
}

func ExampleCheckHTTP() {
	for _, status := range []int{201, 409, 422, 502} {
		err := sdk.CheckHTTP(&http.Response{StatusCode: status})
		var open *sdk.HTTPStatusError
		fmt.Println(status, err, "| outcome open:", errors.As(err, &open))
	}
	// Output:
	// 201 <nil> | outcome open: false
	// 409 the server answered 409 Conflict | outcome open: false
	// 422 the server answered 422 Unprocessable Entity | outcome open: false
	// 502 the server answered 502 Bad Gateway | outcome open: true
}

func ExampleMayBeSaved() {
	fmt.Println(sdk.MayBeSaved(&sdk.RefusedError{Reason: sdk.RefusedSuperseded})) // clean up
	fmt.Println(sdk.MayBeSaved(&sdk.RefusedError{Reason: sdk.RefusedStorage}))    // leave it for the next attempt
	// Output:
	// false
	// true
}

func ExampleDecimal_Fixed() {
	price := sdk.Decimal("1.5")
	fixed, _ := price.Fixed(2)
	cents, _ := price.Units(2)
	_, rounded := sdk.Decimal("1.505").Fixed(2)
	fmt.Println(fixed, cents, rounded)
	// Output: 1.50 150 false
}

// A field of the ERP that holds 13 digits, 3 of them after the point.
func ExampleDecimal_Fits() {
	for _, qty := range []sdk.Decimal{"10.500", "0.0005", "12345678901"} {
		fmt.Println(qty, qty.Fits(13, 3))
	}
	// Output:
	// 10.500 true
	// 0.0005 false
	// 12345678901 false
}

func ExampleConnection_Redact() {
	conn, err := sdk.NewConnection("c1", "acme", []byte(ftpSchema), []byte(`{"host":"ftp.acme.example","password":"hunter22"}`))
	if err != nil {
		panic(err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("acme:hunter22"))
	fmt.Println(conn.Redact("530 login acme/hunter22 incorrect"))
	fmt.Println(strings.Contains(conn.Redact("Authorization: Basic "+basic), basic))
	// Output:
	// 530 login acme/[secret] incorrect
	// false
}

// Lines that are logged with the context of a call carry the export's id.
func ExampleLogger() {
	var out bytes.Buffer
	log := slog.New(sdk.NewLogHandler(&out, slog.LevelInfo))
	t := &testing.T{} // yours
	export := sdktest.New(t, logging{folder{}, log}).NewExport(`{"path":"."}`, sdktest.SampleOrder())
	_, _ = export.Run(context.Background())
	fmt.Println(strings.Contains(out.String(), `"export_id":"`+export.ID+`"`))
	// Output: true
}

type logging struct {
	folder
	log *slog.Logger
}

func (l logging) Export(ctx context.Context, _ *sdk.ExportRequest) (sdk.ExportResult, error) {
	l.log.InfoContext(ctx, "delivered") // in a connector: slog.InfoContext, or sdk.Logger(ctx)
	return sdk.ExportResult{}, nil
}
