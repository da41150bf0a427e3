package checks

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

func malformed() []suite.Check {
	return []suite.Check{
		{
			ID: "malformed/bytes", Level: suite.Must, Clauses: []string{"ERR-05"}, Run: fuzz,
			Title: "random, truncated and changed requests do not end the process",
		},
		{
			ID: "malformed/missing-parts", Level: suite.Must, Clauses: []string{"ERR-05"}, Run: missingParts,
			Title: "requests without their parts are answered, and deliver nothing",
		},
		{
			ID: "malformed/orders", Level: suite.Must, Clauses: []string{"ERR-05", "EXP-11"}, Run: brokenOrders,
			Title: "orders that break the rules of the Port end with an error, or deliver one order",
		},
		{
			ID: "malformed/unknown", Level: suite.Must, Clauses: []string{"FWD-01", "FWD-03"}, Run: unknownParts,
			Title: "unknown fields and messages are ignored",
		},
	}
}

// unaryMethods are the calls with one request.
func unaryMethods() []string {
	return []string{
		connectorv1.ConnectorService_Describe_FullMethodName, connectorv1.ConnectorService_TestConnection_FullMethodName,
		connectorv1.ConnectorService_SettleAcks_FullMethodName,
	}
}

func streamMethods() []string {
	return []string{connectorv1.ConnectorService_Export_FullMethodName, connectorv1.ConnectorService_FetchAcks_FullMethodName}
}

// send makes a call with these very bytes and reads what comes. Every outcome
// is fine but a call that does not end.
func send(ctx context.Context, c *suite.Connector, method string, stream bool, requests ...[]byte) error {
	if !stream {
		var answer launch.Bytes
		request := launch.Bytes(requests[0])
		return unended(ctx, c.Conn.Invoke(ctx, method, &request, &answer, grpc.ForceCodec(launch.RawCodec{})))
	}
	call, err := c.Conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method,
		grpc.ForceCodec(launch.RawCodec{}))
	if err != nil {
		return unended(ctx, err)
	}
	for _, request := range requests {
		message := launch.Bytes(request)
		if call.SendMsg(&message) != nil {
			break
		}
	}
	_ = call.CloseSend()
	for {
		var answer launch.Bytes
		if err := call.RecvMsg(&answer); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return unended(ctx, err)
		}
	}
}

// unended is the error of a call that was ended by its deadline. The connector
// knows the deadline too, and what it says then may come before ctx has ended.
func unended(ctx context.Context, err error) error {
	if status.Code(err) == codes.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// requestsOf are requests of each kind that are valid.
func requestsOf(t *suite.T) map[string][]byte {
	connection := t.Connection()
	e := t.NewExportOf(suite.SampleOrder(), connection)
	e.Attempt = 1
	requests := map[string]proto.Message{
		connectorv1.ConnectorService_Describe_FullMethodName:       &connectorv1.DescribeRequest{},
		connectorv1.ConnectorService_TestConnection_FullMethodName: &connectorv1.TestConnectionRequest{Connection: connection},
		connectorv1.ConnectorService_FetchAcks_FullMethodName:      &connectorv1.FetchAcksRequest{Connection: connection, Limit: 1},
		connectorv1.ConnectorService_SettleAcks_FullMethodName: &connectorv1.SettleAcksRequest{
			Connection: connection, Settlements: []*connectorv1.Settlement{{Handle: "none", Verdict: processed}},
		},
		connectorv1.ConnectorService_Export_FullMethodName: &connectorv1.ExportRequest{
			Message: &connectorv1.ExportRequest_Start{Start: e.Start()},
		},
	}
	encoded := map[string][]byte{}
	for method, request := range requests {
		data, err := proto.Marshal(request)
		if err != nil {
			t.Fatalf("%v", err)
		}
		encoded[method] = data
	}
	return encoded
}

func fuzz(t *suite.T) {
	c := t.Start()
	valid := requestsOf(t)
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // to be repeatable
	methods := append(unaryMethods(), streamMethods()...)
	for i := range t.Sizes().Fuzz {
		method := methods[i%len(methods)]
		data := spoil(random, valid[method])
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := send(ctx, c, method, i%len(methods) >= len(unaryMethods()), data)
		cancel()
		if err != nil {
			t.Errorf("%s with malformed bytes did not end: %v", method, err)
		}
		select {
		case <-c.Exited():
			t.Fatalf("%s with malformed bytes ended the process (request %d of this check)", method, i+1)
		default:
		}
	}
	if _, ended := c.Wait(t.Sizes().Watch.D()); ended {
		t.Fatalf("malformed bytes ended the process")
	}
	// Some of the requests may have been good enough to be delivered.
	before, _ := t.Look()
	t.NewExport().Deliver(c)
	if after, _ := t.Look(); len(after) != len(before)+1 {
		t.Errorf("after malformed requests an order did not arrive")
	}
}

// spoil cuts, changes or replaces a request.
func spoil(random *rand.Rand, request []byte) []byte {
	data := append([]byte(nil), request...)
	switch random.IntN(4) {
	case 0:
		data = make([]byte, random.IntN(200))
		for i := range data {
			data[i] = byte(random.IntN(256)) //nolint:gosec // a byte
		}
	case 1:
		data = data[:random.IntN(len(data)+1)]
	case 2:
		for range 1 + random.IntN(5) {
			if len(data) > 0 {
				data[random.IntN(len(data))] = byte(random.IntN(256)) //nolint:gosec // a byte
			}
		}
	case 3:
		at := random.IntN(len(data) + 1)
		data = append(data[:at:at], append([]byte{0xff, 0xff, 0xff, 0x7f}, data[at:]...)...)
	}
	return data
}

func missingParts(t *suite.T) {
	c := t.Start()
	valid := requestsOf(t)
	start := func(change func(*connectorv1.ExportStart)) []byte {
		e := t.NewExport()
		e.Attempt = 1
		s := e.Start()
		change(s)
		data, err := proto.Marshal(&connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{Start: s}})
		if err != nil {
			t.Fatalf("%v", err)
		}
		return data
	}
	saved, _ := proto.Marshal(&connectorv1.ExportRequest{ // it can't fail
		Message: &connectorv1.ExportRequest_CheckpointSaved{CheckpointSaved: &connectorv1.CheckpointSaved{}},
	})
	for what, requests := range map[string][][]byte{
		"nothing":                  {},
		"an empty message":         {{}},
		"an answer before a start": {saved},
		"a start without anything": {start(func(s *connectorv1.ExportStart) { proto.Reset(s) })},
		"no connection":            {start(func(s *connectorv1.ExportStart) { s.Connection = nil })},
		"no order":                 {start(func(s *connectorv1.ExportStart) { s.DraftOrder = nil })},
		"no export id":             {start(func(s *connectorv1.ExportStart) { s.ExportId = "" })},
		"no time":                  {start(func(s *connectorv1.ExportStart) { s.CreatedAt = nil; s.ExportId = "" })},
		"two starts":               {valid[connectorv1.ConnectorService_Export_FullMethodName], valid[connectorv1.ConnectorService_Export_FullMethodName]},
		"an id like a path":        {start(func(s *connectorv1.ExportStart) { s.ExportId = "../../escaped" })},
		"an id of a megabyte":      {start(func(s *connectorv1.ExportStart) { s.ExportId = strings.Repeat("a", 1<<20) })},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := send(ctx, c, connectorv1.ConnectorService_Export_FullMethodName, true, requests...); err != nil {
			t.Errorf("an export with %s did not end: %v", what, err)
		}
		cancel()
	}
	for _, method := range unaryMethods() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := send(ctx, c, method, false, nil); err != nil {
			t.Errorf("%s with an empty request did not end: %v", method, err)
		}
		cancel()
	}
	if orders, _ := t.Look(); len(orders) > 0 {
		t.Errorf("a request without its parts delivered %q", orders[0].Name)
	}
	t.NewExport().Deliver(c)
}

func brokenOrders(t *suite.T) {
	c := t.Start()
	delivered := 0
	for what, change := range map[string]func(*connectorv1.DraftOrder){
		"no customer":           func(o *connectorv1.DraftOrder) { o.Customer = nil },
		"no lines":              func(o *connectorv1.DraftOrder) { o.Lines = nil },
		"an empty line":         func(o *connectorv1.DraftOrder) { o.Lines = append(o.Lines, &connectorv1.OrderLine{}) },
		"two lines of a number": func(o *connectorv1.DraftOrder) { o.Lines[1].LineNo = o.Lines[0].LineNo },
		"a negative quantity":   func(o *connectorv1.DraftOrder) { o.Lines[0].Qty = "-1" },
		"a quantity of words":   func(o *connectorv1.DraftOrder) { o.Lines[0].Qty = "many" },
		"a price of words":      func(o *connectorv1.DraftOrder) { o.Lines[0].UnitPrice = suite.Ptr("dear") },
		"a status of drafts":    func(o *connectorv1.DraftOrder) { o.Status = "DRAFT" },
		"an id of a megabyte":   func(o *connectorv1.DraftOrder) { o.Id = strings.Repeat("a", 1<<20) },
		"everything empty":      func(o *connectorv1.DraftOrder) { proto.Reset(o) },
	} {
		order := suite.SampleOrder()
		change(order)
		attempt := run(t, c, t.NewExportOf(order, t.Connection()))
		if attempt.Err == nil && attempt.Result.GetSuccess() {
			delivered++
		}
		if orders, _ := t.Look(); len(orders) != delivered {
			t.Fatalf("after an order with %s the target has %d orders, %d are said to be delivered", what, len(orders), delivered)
		}
	}
	t.Orders()
	t.NewExport().Deliver(c)
	t.WantOrders(delivered + 1)
}

// unknown is a field that nobody knows.
func unknown() []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 18_000, protowire.BytesType), "from the future")
}

func unknownParts(t *suite.T) {
	c := t.Start()
	ctx, cancel := t.Call()
	defer cancel()
	e := t.NewExport()
	for _, m := range []proto.Message{e.Order, e.Order.GetLines()[0], e.Order.GetCustomer(), e.Connection} {
		m.ProtoReflect().SetUnknown(unknown())
	}
	e.Surplus = unknown()
	attempt := e.Run(ctx, c)
	if attempt.Err != nil || !attempt.Result.GetSuccess() {
		t.Errorf("an export with unknown fields and messages failed: %v, %v", attempt.Result.GetError(), attempt.Err)
	}
	t.WantOrders(1)
	request := &connectorv1.TestConnectionRequest{Connection: e.Connection}
	request.ProtoReflect().SetUnknown(unknown())
	if r, err := c.Port.TestConnection(ctx, request); err != nil || !r.GetSuccess() {
		t.Errorf("a test with unknown fields failed: %v, %v", r.GetError(), err)
	}
}
