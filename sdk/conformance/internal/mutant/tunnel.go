package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// tunnels implements the tunnel: every call of it is an Export of the service.
type tunnels struct {
	connectorv1.UnimplementedExportTunnelServiceServer
	*service
}

// Tunnel implements connectorv1.ExportTunnelServiceServer.
func (s *tunnels) Tunnel(stream connectorv1.ExportTunnelService_TunnelServer) error {
	if !s.is("tunnel-opens-silently") {
		if err := stream.Send(&connectorv1.TunnelResponse{}); err != nil {
			return err
		}
	}
	life := stream.Context()
	if s.is("tunnel-outlives-stream") {
		life = context.WithoutCancel(life)
	}
	t := &openTunnel{tunnels: s, stream: stream, life: life, calls: map[uint64]*call{}}
	err := t.receive()
	switch {
	case errors.Is(err, io.EOF) && s.is("tunnel-drops-calls"):
		return nil
	case errors.Is(err, io.EOF) && s.is("tunnel-stays-open"):
		<-stream.Context().Done()
	case errors.Is(err, io.EOF):
		err = nil
	}
	t.running.Wait()
	return err
}

// openTunnel is one of them.
type openTunnel struct {
	*tunnels
	stream  connectorv1.ExportTunnelService_TunnelServer
	life    context.Context // of its calls
	running sync.WaitGroup  // calls
	one     sync.Mutex      // held by the one call

	mu    sync.Mutex       // guards what is sent, too
	calls map[uint64]*call // guarded by mu
}

func (t *openTunnel) receive() error {
	for {
		request, err := t.stream.Recv()
		if err != nil {
			return err
		}
		for _, frame := range request.GetFrames() {
			if err := t.take(frame); err != nil {
				return err
			}
		}
	}
}

func (t *openTunnel) take(frame *connectorv1.TunnelRequestFrame) error {
	t.mu.Lock()
	c := t.calls[frame.GetCall()]
	t.mu.Unlock()
	if c == nil && frame.GetMessage() == nil {
		return t.stray(frame)
	}
	if c == nil {
		c = t.begin(frame)
	}
	if frame.GetMessage() != nil {
		select {
		case c.inbox <- frame.GetMessage():
		case <-c.ctx.Done():
		}
	}
	switch {
	case !frame.GetCancel() || t.is("tunnel-ignores-cancel"):
	case t.is("tunnel-cancels-all"):
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, other := range t.calls {
			other.cancel()
		}
	default:
		c.cancel()
	}
	return nil
}

// stray takes a frame of no call.
func (t *openTunnel) stray(frame *connectorv1.TunnelRequestFrame) error {
	switch t.broken {
	case "tunnel-ends-at-stray-frame":
		return status.Errorf(codes.InvalidArgument, "there is no call %d", frame.GetCall())
	case "tunnel-answers-stray-frame":
		t.say(&connectorv1.TunnelResponseFrame{Call: frame.GetCall(), End: &connectorv1.TunnelEnd{Code: int32(codes.NotFound)}})
	}
	return nil
}

func (t *openTunnel) begin(frame *connectorv1.TunnelRequestFrame) *call {
	c := &call{tunnel: t, id: frame.GetCall(), inbox: make(chan *connectorv1.ExportRequest, 16)}
	if frame.GetTimeout() != nil && !t.is("tunnel-ignores-timeout") {
		c.ctx, c.cancel = context.WithTimeout(t.life, frame.GetTimeout().AsDuration())
	} else {
		c.ctx, c.cancel = context.WithCancel(t.life)
	}
	t.mu.Lock()
	t.calls[c.id] = c
	t.mu.Unlock()
	t.running.Go(c.run)
	return c
}

// say sends frames in one message. A host that has gone shows when the next
// message is awaited.
func (t *openTunnel) say(frames ...*connectorv1.TunnelResponseFrame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.stream.Send(&connectorv1.TunnelResponse{Frames: frames})
}

// call is one Export as a stream of its own.
type call struct {
	grpc.ServerStream // nil: an Export needs no more than what is here
	tunnel            *openTunnel
	id                uint64
	ctx               context.Context
	cancel            context.CancelFunc
	inbox             chan *connectorv1.ExportRequest
}

func (c *call) run() {
	t := c.tunnel
	if t.is("tunnel-one-at-a-time") {
		t.one.Lock()
		defer t.one.Unlock()
	}
	end := &connectorv1.TunnelEnd{}
	if err := t.Export(c); err != nil {
		s := status.FromContextError(err)
		if known, ok := status.FromError(err); ok {
			s = known
		}
		end.Code, end.Message = int32(s.Code()), s.Message() //nolint:gosec // at most 16
	}
	c.cancel()
	t.mu.Lock()
	delete(t.calls, c.id)
	t.mu.Unlock()
	last := &connectorv1.TunnelResponseFrame{Call: c.id, End: end}
	switch t.broken {
	case "tunnel-without-end":
	case "tunnel-speaks-after-end":
		t.say(last, &connectorv1.TunnelResponseFrame{Call: c.id, Message: &connectorv1.ExportResponse{
			Message: &connectorv1.ExportResponse_Progress{Progress: &connectorv1.Progress{Message: "done"}},
		}})
	default:
		t.say(last)
	}
}

// Send implements connectorv1.ConnectorService_ExportServer.
func (c *call) Send(message *connectorv1.ExportResponse) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	c.tunnel.say(&connectorv1.TunnelResponseFrame{Call: c.addressee(message), Message: message})
	return nil
}

// addressee is the call itself, unless a result goes to somebody else.
func (c *call) addressee(message *connectorv1.ExportResponse) uint64 {
	c.tunnel.mu.Lock()
	defer c.tunnel.mu.Unlock()
	for other := range c.tunnel.calls {
		if other != c.id && message.GetResult() != nil && c.tunnel.is("tunnel-mixes-up-calls") {
			return other
		}
	}
	return c.id
}

// Recv implements connectorv1.ConnectorService_ExportServer.
func (c *call) Recv() (*connectorv1.ExportRequest, error) {
	select {
	case message := <-c.inbox:
		return message, nil
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}

// Context implements grpc.ServerStream.
func (c *call) Context() context.Context { return c.ctx }
