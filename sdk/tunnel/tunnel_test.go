package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/tunnel"
)

const long = 10 * time.Second

// scripted is a connector that does with an export what its order's id says,
// and tells how calls ended.
type scripted struct {
	connectorv1.UnimplementedConnectorServiceServer
	ended chan string // ids of calls whose context has ended
}

func (c *scripted) Export(stream connectorv1.ConnectorService_ExportServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	id := first.GetStart().GetExportId()
	act, _, _ := strings.Cut(id, " ")
	switch act {
	case "ask":
		if err := stream.Send(checkpoint(id)); err != nil {
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
	case "refuse":
		return status.Error(codes.InvalidArgument, "not this one")
	case "hang":
		<-stream.Context().Done()
		c.ended <- id
		return stream.Context().Err()
	case "listen": // until the host gives up
		_, err := stream.Recv()
		c.ended <- id
		return err
	case "large":
		return stream.Send(progress(strings.Repeat("x", 2<<20)))
	case "too-large":
		return stream.Send(progress(strings.Repeat("x", port.MaxMessage)))
	case "unspeakable":
		return stream.Send(progress("\xff"))
	case "talk":
		for range 500 {
			if err := stream.Send(progress("still there")); err != nil {
				return err
			}
		}
	case "flood":
		for stream.Send(progress(strings.Repeat("x", 1<<20))) == nil {
		}
		c.ended <- id
		return stream.Context().Err()
	}
	return stream.Send(result(id))
}

func checkpoint(text string) *connectorv1.ExportResponse {
	return &connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_SaveCheckpoint{
		SaveCheckpoint: &connectorv1.SaveCheckpoint{Data: []byte(text)},
	}}
}

func progress(text string) *connectorv1.ExportResponse {
	return &connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Progress{
		Progress: &connectorv1.Progress{Message: text},
	}}
}

func result(id string) *connectorv1.ExportResponse {
	return &connectorv1.ExportResponse{Message: &connectorv1.ExportResponse_Result{
		Result: &connectorv1.ExportResult{ExportId: id, Success: true},
	}}
}

func start(id string) *connectorv1.ExportRequest {
	return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_Start{
		Start: &connectorv1.ExportStart{ExportId: id},
	}}
}

func saved() *connectorv1.ExportRequest {
	return &connectorv1.ExportRequest{Message: &connectorv1.ExportRequest_CheckpointSaved{
		CheckpointSaved: &connectorv1.CheckpointSaved{},
	}}
}

// world is a connector and a connection to it.
type world struct {
	connector *scripted
	server    *grpc.Server
	conn      *grpc.ClientConn
}

func newWorld(t *testing.T, register func(*grpc.Server, *scripted)) *world {
	t.Helper()
	w := &world{
		connector: &scripted{ended: make(chan string, 100)},
		server:    grpc.NewServer(grpc.MaxRecvMsgSize(port.MaxMessage)),
	}
	connectorv1.RegisterConnectorServiceServer(w.server, w.connector)
	register(w.server, w.connector)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = w.server.Serve(listener) }()
	t.Cleanup(w.server.Stop)
	var err error
	w.conn, err = grpc.NewClient("passthrough:memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(port.MaxMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

func served(server *grpc.Server, connector *scripted) {
	connectorv1.RegisterExportTunnelServiceServer(server, tunnel.NewService(connector))
}

func (w *world) dial(t *testing.T) *tunnel.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	c, err := tunnel.Dial(ctx, w.conn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// export runs one export to its end and returns what the connector said.
func export(ctx context.Context, conn grpc.ClientConnInterface, id string) ([]*connectorv1.ExportResponse, error) {
	stream, err := connectorv1.NewConnectorServiceClient(conn).Export(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(start(id)); err != nil {
		return nil, err
	}
	var said []*connectorv1.ExportResponse
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return said, nil
		}
		if err != nil {
			return said, err
		}
		said = append(said, message)
		if message.GetSaveCheckpoint() != nil {
			if err := stream.Send(saved()); err != nil {
				return said, err
			}
		}
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) awaitEnd(t *testing.T, id string) {
	t.Helper()
	select {
	case ended := <-w.connector.ended:
		if ended != id {
			t.Errorf("%q has ended, want %q", ended, id)
		}
	case <-time.After(long):
		t.Errorf("the connector goes on with %q", id)
	}
}

func TestManyCallsKeepTheirAnswersApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			id := fmt.Sprint("ask ", i)
			said, err := export(within(t), c, id)
			if err != nil || len(said) != 2 || string(said[0].GetSaveCheckpoint().GetData()) != id || said[1].GetResult().GetExportId() != id {
				t.Errorf("%s: got %v, %v", id, said, err)
			}
		})
	}
	all.Wait()
}

func TestACallEndsAsAStreamOfItsOwnWould(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	for name, conn := range map[string]grpc.ClientConnInterface{"tunnel": w.dial(t), "own stream": w.conn} {
		for id, want := range map[string]codes.Code{
			"ask": codes.OK, "refuse": codes.InvalidArgument, "too-large": codes.ResourceExhausted, "unspeakable": codes.Internal,
		} {
			if _, err := export(within(t), conn, id); status.Code(err) != want {
				t.Errorf("%s through %s: got %v, want %v", id, name, err, want)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := export(short, conn, "hang")
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("hang through %s: got %v", name, err)
		}
		cancel()
		w.awaitEnd(t, "hang")
	}
}

func TestALargeMessagePasses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	said, err := export(within(t), w.dial(t), "large")
	if err != nil || len(said) != 1 || len(said[0].GetProgress().GetMessage()) != 2<<20 {
		t.Errorf("got %d messages, %v", len(said), err)
	}
}

// Each call is cancelled while it begins. A start behind its own cancel would
// run for nobody until the deadline.
func TestACallThatIsCancelledAtOnceRunsForNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(within(t))
			go cancel()
			_, _ = export(ctx, c, "hang")
		})
	}
	all.Wait()
	c.Close()
	stopped := make(chan struct{})
	go func() {
		w.server.GracefulStop() // waits for calls
		close(stopped)
	}()
	for {
		select {
		case <-w.connector.ended:
		case <-stopped:
			return
		case <-time.After(long):
			t.Fatal("a call goes on")
		}
	}
}

func TestWhatTheHostCanNotSayFailsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	stream, err := connectorv1.NewConnectorServiceClient(c).Export(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(start("\xff")); status.Code(err) != codes.Internal {
		t.Errorf("got %v", err)
	}
	if err := stream.Send(start(strings.Repeat("x", 12<<20))); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v", err)
	}
	if _, err := export(within(t), c, "ask"); err != nil {
		t.Error(err)
	}
}

func TestProgressThatNobodyTakesHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	stream, err := connectorv1.NewConnectorServiceClient(c).Export(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(start("talk")); err != nil {
		t.Fatal(err)
	}
	if _, err := export(within(t), c, "ask"); err != nil {
		t.Error(err)
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.GetResult() != nil {
			return
		}
	}
}

func TestACancelledCallEndsAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	for _, id := range []string{"hang", "listen"} {
		ctx, cancel := context.WithCancel(within(t))
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := export(ctx, c, id); status.Code(err) != codes.Canceled {
			t.Errorf("%s: got %v", id, err)
		}
		w.awaitEnd(t, id)
	}
	if _, err := export(within(t), c, "ask"); err != nil {
		t.Error(err)
	}
}

// A host that is busy may say late that a call is over.
func TestTheConnectorKnowsTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	stream, err := connectorv1.NewExportTunnelServiceClient(w.conn).Tunnel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&connectorv1.TunnelRequest{Frames: []*connectorv1.TunnelRequestFrame{
		{Call: 1, Message: start("hang"), Timeout: durationpb.New(30 * time.Millisecond)},
	}}); err != nil {
		t.Fatal(err)
	}
	w.awaitEnd(t, "hang")
}

func TestACallThatTakesNothingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	ctx, cancel := context.WithCancel(within(t))
	stream, err := connectorv1.NewConnectorServiceClient(c).Export(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(start("flood")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	w.awaitEnd(t, "flood")
	if _, err := export(within(t), c, "ask"); err != nil {
		t.Error(err)
	}
}

func TestTheEndOfTheConnectionEndsAllCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	const n = 20
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := export(within(t), c, fmt.Sprint("hang ", i))
			errs <- err
		}()
	}
	if _, err := export(within(t), c, "ask"); err != nil { // the others have mostly begun
		t.Fatal(err)
	}
	w.server.Stop()
	for range n {
		if err := <-errs; status.Code(err) != codes.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	if _, err := connectorv1.NewConnectorServiceClient(c).Export(within(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("a call afterwards: got %v", err)
	}
}

func TestCloseLetsCallsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	c := w.dial(t)
	stream, err := connectorv1.NewConnectorServiceClient(c).Export(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(start("ask")); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()                                                         // once more does no harm
	if _, err := export(within(t), c, "ask on its own"); err != nil { // not through the tunnel
		t.Error(err)
	}
	if err := stream.Send(saved()); err != nil {
		t.Fatal(err)
	}
	if said, err := stream.Recv(); err != nil || said.GetResult().GetExportId() != "ask" {
		t.Errorf("got %v, %v", said, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	stopped := make(chan struct{})
	go func() {
		w.server.GracefulStop() // waits for the tunnel
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(long):
		t.Error("the tunnel stays open")
	}
}

func TestDialSaysWhyThereIsNoTunnel(t *testing.T) {
	t.Parallel()
	none := newWorld(t, func(*grpc.Server, *scripted) {})
	if _, err := tunnel.Dial(within(t), none.conn); status.Code(err) != codes.Unimplemented {
		t.Errorf("no service: got %v", err)
	}
	mute := newWorld(t, func(server *grpc.Server, _ *scripted) {
		connectorv1.RegisterExportTunnelServiceServer(server, &silent{})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := tunnel.Dial(ctx, mute.conn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent one: got %v", err)
	}
}

func TestWithoutItsTunnelACallGetsAStreamOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(server *grpc.Server, _ *scripted) {
		connectorv1.RegisterExportTunnelServiceServer(server, &fickle{})
	})
	c := w.dial(t)
	_, err := export(within(t), c, "ask") // the tunnel ends with its first message
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the call in the tunnel: got %v", err)
	}
	if _, err := export(within(t), c, "ask"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// fickle closes the tunnel when it is used.
type fickle struct {
	connectorv1.UnimplementedExportTunnelServiceServer
}

func (*fickle) Tunnel(stream connectorv1.ExportTunnelService_TunnelServer) error {
	_ = stream.Send(&connectorv1.TunnelResponse{Frames: []*connectorv1.TunnelResponseFrame{{Call: 1}}}) // of no call
	_, _ = stream.Recv()
	return nil
}

// silent never says that the tunnel is open.
type silent struct {
	connectorv1.UnimplementedExportTunnelServiceServer
}

func (*silent) Tunnel(stream connectorv1.ExportTunnelService_TunnelServer) error {
	<-stream.Context().Done()
	return nil
}

// Frames as no Client sends them.
func TestTheServiceTakesAnyFrame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, served)
	stream, err := connectorv1.NewExportTunnelServiceClient(w.conn).Tunnel(within(t))
	if err != nil {
		t.Fatal(err)
	}
	frames := []*connectorv1.TunnelRequestFrame{
		{},
		{Call: 7, Cancel: true},
		{Call: 8, Message: saved()}, // late, for a call that has ended
		{Call: 1, Message: start("refuse")},
		{Call: 2, Message: start("ask"), Cancel: true},
		{Call: 3, Message: start("fine")},
	}
	if err := stream.Send(&connectorv1.TunnelRequest{Frames: frames}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var ended []uint64
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, frame := range response.GetFrames() {
			if frame.GetEnd() != nil {
				ended = append(ended, frame.GetCall())
			}
		}
	}
	slices.Sort(ended)
	if !slices.Equal(ended, []uint64{1, 2, 3}) {
		t.Errorf("calls %v have ended, want 1 to 3", ended)
	}
}

func BenchmarkExport(b *testing.B) {
	connector := &scripted{}
	server := grpc.NewServer()
	connectorv1.RegisterConnectorServiceServer(server, connector)
	connectorv1.RegisterExportTunnelServiceServer(server, tunnel.NewService(connector))
	listener, err := net.Listen("unix", b.TempDir()+"/s")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	conn, err := grpc.NewClient("unix:"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	through, err := tunnel.Dial(b.Context(), conn)
	if err != nil {
		b.Fatal(err)
	}
	for _, way := range []struct {
		name string
		conn grpc.ClientConnInterface
	}{{"own stream", conn}, {"tunnel", through}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := export(b.Context(), way.conn, "ask"); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
