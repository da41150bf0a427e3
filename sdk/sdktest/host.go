// Package sdktest runs a connector in memory the way a host does: over the
// real gRPC service, with a store that remembers payloads and checkpoints, and
// with the failures that a host can have.
//
//	host := sdktest.New(t, connector{})
//	export := host.NewExport(config, sdktest.SampleOrder())
//	export.OnCheckpoint = func(int) sdktest.Fault { return sdktest.CutAfter }
//	export.Run(ctx) // the host dies with the checkpoint durable
//	export.OnCheckpoint = nil
//	export.Run(ctx) // the next attempt gets the checkpoint back
//
// A refused checkpoint is Refuse, an attempt that is cancelled is Stall with a
// context that ends, acks are FetchAcks and SettleAcks. A call that goes on
// after its end fails the test.
//
// What the Port's contract asks of a connector's messages is checked on the
// way and fails the test.
package sdktest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/recording"
)

// Ids that the host gives out.
const (
	ConnectionID = "7d0f0c5e-54b1-4bb2-8e0a-2f3f6f1d8a01"
	OrgSlug      = "acme"
)

// Host calls one connector. Its methods may be used concurrently.
type Host struct {
	t      testing.TB
	client connectorv1.ConnectorServiceClient

	calls   atomic.Int64 // counts up
	serving sync.Map     // call's number as text → chan struct{}, closed when it has returned
}

// New serves the connector until the test ends.
func New(t testing.TB, connector sdk.Connector) *Host {
	t.Helper()
	service, err := sdk.NewServer(connector)
	if err != nil {
		t.Fatalf("the connector can't be served: %v", err)
	}
	h := &Host{t: t}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(port.MaxMessage), grpc.MaxSendMsgSize(port.MaxMessage),
		grpc.StreamInterceptor(h.watchStream),
	)
	connectorv1.RegisterConnectorServiceServer(server, service)
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///connector",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(port.MaxMessage), grpc.MaxCallSendMsgSize(port.MaxMessage)),
	)
	if err != nil {
		t.Fatalf("connect to the connector: %v", err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		awaitEnd(t, service)
	})
	h.client = connectorv1.NewConnectorServiceClient(conn)
	return h
}

// afterlife is how long a connector's code may go on after all its calls.
const afterlife = 5 * time.Second

// awaitEnd fails the test if code of the connector goes on after its call, as
// it does when it does not look at the call's context.
func awaitEnd(t testing.TB, service connectorv1.ConnectorServiceServer) {
	t.Helper()
	drainer, ok := service.(interface{ Drain() <-chan struct{} })
	if !ok {
		return
	}
	select {
	case <-drainer.Drain():
	case <-time.After(afterlife):
		t.Error("the connector goes on although its call has ended: hand the call's context on to whatever waits")
	}
}

const callKey = "sdktest-call"

// numbered returns a context that lets settle wait for the call made with it.
func (h *Host) numbered(ctx context.Context) (context.Context, string) {
	call := strconv.FormatInt(h.calls.Add(1), 10)
	return metadata.AppendToOutgoingContext(ctx, callKey, call), call
}

func (h *Host) watchStream(
	srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	for _, call := range metadata.ValueFromIncomingContext(stream.Context(), callKey) {
		returned := make(chan struct{})
		defer close(returned)
		h.serving.Store(call, returned)
	}
	return handler(srv, stream)
}

// Client returns the connector's gRPC client, for what the other methods don't
// do.
func (h *Host) Client() connectorv1.ConnectorServiceClient { return h.client }

// Describe returns what the connector says of itself.
func (h *Host) Describe() *connectorv1.DescribeResponse {
	h.t.Helper()
	response, err := h.client.Describe(context.Background(), &connectorv1.DescribeRequest{})
	if err != nil {
		h.t.Fatalf("describe: %v", err)
	}
	return response
}

func connection(config string) *connectorv1.Connection {
	return &connectorv1.Connection{Id: ConnectionID, OrgSlug: OrgSlug, Config: []byte(config)}
}

// TestConnection tries a config. The error is a gRPC status; a config that
// does not work is in the response.
func (h *Host) TestConnection(ctx context.Context, config string) (*connectorv1.TestConnectionResponse, error) {
	h.t.Helper()
	response, err := h.client.TestConnection(ctx,
		&connectorv1.TestConnectionRequest{Connection: connection(config)})
	if err == nil && response.GetSuccess() != (response.GetError() == nil) {
		h.t.Errorf("test connection: success is %v, but the error is %v", response.GetSuccess(), response.GetError())
	}
	return response, err
}

// FetchAcks returns at most limit acks (0: all that the connector has to
// give). Of an error, port.ErrorFrom returns what the connector said.
func (h *Host) FetchAcks(ctx context.Context, config string, limit uint32) ([]*connectorv1.FetchAcksResponse, error) {
	h.t.Helper()
	stream, err := h.client.FetchAcks(ctx,
		&connectorv1.FetchAcksRequest{Connection: connection(config), Limit: limit})
	if err != nil {
		return nil, err
	}
	var acks []*connectorv1.FetchAcksResponse
	seen := make(map[string]bool)
	for {
		ack, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return acks, err
		}
		if ack.GetHandle() == "" || seen[ack.GetHandle()] {
			h.t.Errorf("fetch acks: handle %q is empty or comes twice", ack.GetHandle())
		}
		seen[ack.GetHandle()] = true
		acks = append(acks, ack)
	}
	if limit > 0 && len(acks) > int(limit) {
		h.t.Errorf("fetch acks: got %d, asked for %d", len(acks), limit)
	}
	return acks, nil
}

// SettleAcks gives one verdict on some acks and returns the errors of those
// that could not be settled, by handle.
func (h *Host) SettleAcks(
	ctx context.Context, config string, verdict connectorv1.Verdict, handles ...string,
) (map[string]*connectorv1.Error, error) {
	h.t.Helper()
	req := &connectorv1.SettleAcksRequest{Connection: connection(config)}
	for _, handle := range handles {
		req.Settlements = append(req.Settlements, &connectorv1.Settlement{Handle: handle, Verdict: verdict})
	}
	response, err := h.client.SettleAcks(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(response.GetResults()) != len(handles) {
		h.t.Fatalf("settle acks: %d results for %d settlements", len(response.GetResults()), len(handles))
	}
	failed := make(map[string]*connectorv1.Error)
	for i, result := range response.GetResults() {
		if result.GetHandle() != handles[i] {
			h.t.Errorf("settle acks: result %d is about %q, want %q", i, result.GetHandle(), handles[i])
		}
		if result.GetError() != nil {
			failed[result.GetHandle()] = result.GetError()
		}
	}
	return failed, nil
}

// Replay makes the call of a recording again (see package recording) and
// returns what came out differently, which a test usually reports as errors.
// The config is laid over the recorded one, which has no secrets.
func (h *Host) Replay(ctx context.Context, file, config string) []recording.Difference {
	h.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		h.t.Fatalf("replay: %v", err)
	}
	defer func() { _ = f.Close() }()
	recorded, err := recording.Read(f)
	if err != nil {
		h.t.Fatalf("replay %s: %v", file, err)
	}
	differences, err := recorded.Replay(ctx, h.client, []byte(config))
	if err != nil {
		h.t.Fatalf("replay %s: %v", file, err)
	}
	return differences
}

// settle waits until the connector has returned from a call, so that a test
// can look at the target after a call that was cut.
func (h *Host) settle(call string) {
	h.t.Helper()
	returned, arrived := h.serving.LoadAndDelete(call)
	if !arrived {
		return
	}
	select {
	case <-returned.(chan struct{}):
	case <-time.After(5 * time.Second):
		h.t.Error("the connector's call goes on although the host has gone")
	}
}
