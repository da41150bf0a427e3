package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// inboxSize is how many frames of a call may wait for it. Then the other calls
// wait as well, so a call has to take what it gets.
const inboxSize = 4

// Client is a connection whose calls of Export go through a tunnel. All other
// calls, and all once the tunnel is broken, go over the connection below.
type Client struct {
	grpc.ClientConnInterface
	out    *outbox
	cancel context.CancelFunc // ends the stream
	broken chan struct{}      // closed when the stream has ended
	done   chan struct{}      // closed when nothing more is to be sent

	mu      sync.Mutex
	last    uint64                 // guarded by mu: the newest call
	calls   map[uint64]*clientCall // guarded by mu: those that go on
	closing bool                   // guarded by mu: no call begins any more
	err     error                  // guarded by mu: why the stream has ended
}

// Dial opens a tunnel to a connector. ctx bounds the opening; Close, or the end
// of the connection, ends the tunnel. The error has the gRPC code Unimplemented
// if the connector serves none.
func Dial(ctx context.Context, conn grpc.ClientConnInterface) (*Client, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, cancel)
	stream, err := connectorv1.NewExportTunnelServiceClient(conn).Tunnel(life, grpc.MaxCallRecvMsgSize(maxMessage))
	if err == nil {
		_, err = stream.Recv() // the connector's first message
	}
	if !release() {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the tunnel: %w", err)
	}
	c := &Client{
		ClientConnInterface: conn,
		out:                 newOutbox(),
		cancel:              cancel,
		broken:              make(chan struct{}),
		done:                make(chan struct{}),
		calls:               make(map[uint64]*clientCall),
	}
	go c.receive(stream)
	go c.send(stream)
	return c, nil
}

// Close begins no further calls through the tunnel, and ends it when those that
// go on have ended.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.endIfIdle()
}

// endIfIdle is called with mu held, whenever a call has ended.
func (c *Client) endIfIdle() {
	if c.closing && c.err == nil && len(c.calls) == 0 {
		c.finish()
	}
}

// finish is called with mu held.
func (c *Client) finish() {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
}

func (c *Client) send(stream connectorv1.ExportTunnelService_TunnelClient) {
	err := c.out.run(c.done, func(message []byte) error { return stream.Send(requestOf(message)) })
	if err == nil {
		err = stream.CloseSend()
	}
	if err != nil {
		c.cancel() // the receiver learns the reason
	}
}

func (c *Client) receive(stream connectorv1.ExportTunnelService_TunnelClient) {
	defer c.cancel()
	for {
		response, err := stream.Recv()
		if err != nil {
			c.end(err)
			return
		}
		for _, frame := range response.GetFrames() {
			c.deliver(frame)
		}
	}
}

// end ends all calls. The stream's own status is none of theirs.
func (c *Client) end(err error) {
	reason := "the connector has closed it"
	if !errors.Is(err, io.EOF) {
		reason = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.calls = status.Error(codes.Unavailable, "the tunnel has ended: "+reason), nil
	c.out.close()
	c.finish()
	close(c.broken)
}

func (c *Client) deliver(frame *connectorv1.TunnelResponseFrame) {
	c.mu.Lock()
	call := c.calls[frame.GetCall()]
	if frame.GetEnd() != nil {
		delete(c.calls, frame.GetCall())
		c.endIfIdle()
	}
	c.mu.Unlock()
	if call == nil {
		return
	}
	if frame.GetMessage().GetProgress() != nil && frame.GetEnd() == nil && len(call.inbox) >= inboxSize/2 {
		return // not worth that others wait, and there is room for a result and an end
	}
	select {
	case call.inbox <- frame:
		return
	default:
	}
	select {
	case call.inbox <- frame:
	case <-call.ctx.Done():
		call.giveUp() // now, so that no later frame follows on a gap
	}
}

// Broken is closed when the tunnel has ended.
func (c *Client) Broken() <-chan struct{} { return c.broken }

// NewStream implements grpc.ClientConnInterface.
func (c *Client) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if method == connectorv1.ConnectorService_Export_FullMethodName {
		if call, ok := c.begin(ctx); ok {
			return call, nil
		}
	}
	return c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
}

func (c *Client) begin(ctx context.Context) (*clientCall, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.err != nil {
		return nil, false
	}
	c.last++
	call := &clientCall{client: c, id: c.last, ctx: ctx, inbox: make(chan *connectorv1.TunnelResponseFrame, inboxSize)}
	c.calls[call.id] = call
	call.release = context.AfterFunc(ctx, call.giveUp)
	return call, true
}

// clientCall is one call of Export, as grpc.ClientConn would make it.
type clientCall struct {
	client  *Client
	id      uint64
	ctx     context.Context // of the call, as a stream has it
	inbox   chan *connectorv1.TunnelResponseFrame
	release func() bool // of the context

	begun bool  // by the sender's goroutine
	ended error // by the receiver's goroutine: what Recv returns from now on
}

var _ grpc.ClientStream = (*clientCall)(nil)

// giveUp tells the connector that nobody listens any more.
func (s *clientCall) giveUp() {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if _, open := s.client.calls[s.id]; !open {
		return
	}
	delete(s.client.calls, s.id)
	s.client.out.force(&connectorv1.TunnelRequestFrame{Call: s.id, Cancel: true})
	s.client.endIfIdle()
}

// SendMsg implements grpc.ClientStream.
func (s *clientCall) SendMsg(m any) error {
	message, ok := m.(*connectorv1.ExportRequest)
	if !ok {
		return status.Errorf(codes.Internal, "tunnel: a %T is no message of Export", m)
	}
	frame := &connectorv1.TunnelRequestFrame{Call: s.id, Message: message}
	if deadline, ok := s.ctx.Deadline(); ok && !s.begun {
		frame.Timeout = durationpb.New(until(deadline))
	}
	s.begun = true
	err := s.client.out.put(s.ctx, frame)
	if errors.Is(err, errClosed) || s.ctx.Err() != nil {
		return io.EOF // as grpc does: RecvMsg knows the reason
	}
	return err
}

// RecvMsg implements grpc.ClientStream.
func (s *clientCall) RecvMsg(m any) error {
	into, ok := m.(*connectorv1.ExportResponse)
	if !ok {
		return status.Errorf(codes.Internal, "tunnel: a %T is no message of Export", m)
	}
	if s.ended != nil {
		return s.ended
	}
	frame, err := s.next()
	if err != nil {
		s.ended = err
		return err
	}
	if end := frame.GetEnd(); end != nil {
		s.release()
		s.ended = errorOf(end)
		if frame.GetMessage() == nil {
			return s.ended
		}
	}
	into.Message = frame.GetMessage().GetMessage()
	return nil
}

func (s *clientCall) next() (*connectorv1.TunnelResponseFrame, error) {
	select {
	case frame := <-s.inbox:
		return frame, nil
	default:
	}
	select {
	case frame := <-s.inbox:
		return frame, nil
	case <-s.ctx.Done():
		return nil, status.FromContextError(s.ctx.Err()).Err()
	case <-s.client.broken:
	}
	select { // it may have come just before
	case frame := <-s.inbox:
		return frame, nil
	default:
	}
	s.release()
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return nil, s.client.err
}

// CloseSend implements grpc.ClientStream. The connector is not told, see
// [NewService].
func (s *clientCall) CloseSend() error { return nil }

// Context implements grpc.ClientStream.
func (s *clientCall) Context() context.Context { return s.ctx }

// Header implements grpc.ClientStream. Export has none.
func (s *clientCall) Header() (metadata.MD, error) { return nil, nil }

// Trailer implements grpc.ClientStream. Export has none.
func (s *clientCall) Trailer() metadata.MD { return nil }
