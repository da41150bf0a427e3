package tunnel

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/hands"
)

// Service serves the tunnel of a connector.
type Service struct {
	connectorv1.UnimplementedExportTunnelServiceServer

	port  connectorv1.ConnectorServiceServer
	hands hands.Pool
}

// NewService returns a Service whose calls go to the port's Export. It must not
// wait for the host to close its side of an export after the result: in a tunnel
// Recv never returns io.EOF.
func NewService(port connectorv1.ConnectorServiceServer) *Service { return &Service{port: port} }

// Tunnel implements connectorv1.ExportTunnelServiceServer.
func (s *Service) Tunnel(stream connectorv1.ExportTunnelService_TunnelServer) error {
	if err := stream.Send(&connectorv1.TunnelResponse{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	t := &serverTunnel{service: s, ctx: ctx, out: newOutbox(), calls: make(map[uint64]*serverCall)}
	received, sent, finished := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { received <- t.receive(stream) }()
	go func() {
		err := t.out.run(finished, func(message []byte) error { return stream.Send(responseOf(message)) })
		if err != nil {
			t.out.close()
			cancel()
		}
		sent <- err
	}()
	var err error
	select {
	case err = <-received: // nil: the host has closed its side
		if err != nil {
			cancel()
		}
	case <-ctx.Done(): // the connection is lost, or the connector stops
		err = status.Error(codes.Unavailable, "the connector ends the tunnel")
	}
	t.settle()
	close(finished)
	if problem := <-sent; err == nil {
		err = problem
	}
	return err
}

// serverTunnel is one open tunnel.
type serverTunnel struct {
	service *Service
	ctx     context.Context // of the stream
	out     *outbox
	running sync.WaitGroup // calls

	mu     sync.Mutex
	calls  map[uint64]*serverCall // guarded by mu: those that go on
	closed bool                   // guarded by mu: no call begins any more
}

// settle waits until all calls have ended and said so. They do soon after their
// contexts.
func (t *serverTunnel) settle() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.running.Wait()
}

// receive ends without an error when the host has closed its side.
func (t *serverTunnel) receive(stream connectorv1.ExportTunnelService_TunnelServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, frame := range request.GetFrames() {
			t.deliver(frame)
		}
	}
}

func (t *serverTunnel) deliver(frame *connectorv1.TunnelRequestFrame) {
	call := t.callOf(frame)
	if call == nil {
		return
	}
	if frame.GetMessage() != nil {
		select {
		case call.inbox <- frame.GetMessage():
		case <-call.ctx.Done():
		}
	}
	if frame.GetCancel() {
		call.cancel()
	}
}

// callOf returns the call that a frame belongs to, and begins it if it is new.
func (t *serverTunnel) callOf(frame *connectorv1.TunnelRequestFrame) *serverCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	call := t.calls[frame.GetCall()]
	if call != nil || frame.GetMessage().GetStart() == nil || t.closed {
		return call // without a start it is late, for a call that has ended
	}
	call = &serverCall{tunnel: t, id: frame.GetCall(), inbox: make(chan *connectorv1.ExportRequest, inboxSize)}
	if timeout := frame.GetTimeout(); timeout != nil {
		call.ctx, call.cancel = context.WithTimeout(t.ctx, timeout.AsDuration())
	} else {
		call.ctx, call.cancel = context.WithCancel(t.ctx)
	}
	t.calls[call.id] = call
	t.running.Add(1)
	t.service.hands.Do(call.run)
	return call
}

// serverCall is one call of Export, as grpc.Server would serve it.
type serverCall struct {
	tunnel *serverTunnel
	id     uint64
	ctx    context.Context // of the call, as a stream has it
	cancel context.CancelFunc
	inbox  chan *connectorv1.ExportRequest
}

var _ grpc.ServerStream = (*serverCall)(nil)

func (s *serverCall) run() {
	defer s.tunnel.running.Done()
	err := s.tunnel.service.port.Export(&grpc.GenericServerStream[connectorv1.ExportRequest, connectorv1.ExportResponse]{ServerStream: s})
	s.tunnel.mu.Lock()
	delete(s.tunnel.calls, s.id)
	s.tunnel.mu.Unlock()
	s.cancel()
	s.tunnel.out.force(&connectorv1.TunnelResponseFrame{Call: s.id, End: endOf(err)})
}

// SendMsg implements grpc.ServerStream.
func (s *serverCall) SendMsg(m any) error {
	message, ok := m.(*connectorv1.ExportResponse)
	if !ok {
		return status.Errorf(codes.Internal, "tunnel: a %T is no message of Export", m)
	}
	if err := s.ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return s.tunnel.out.put(s.ctx, &connectorv1.TunnelResponseFrame{Call: s.id, Message: message})
}

// RecvMsg implements grpc.ServerStream.
func (s *serverCall) RecvMsg(m any) error {
	into, ok := m.(*connectorv1.ExportRequest)
	if !ok {
		return status.Errorf(codes.Internal, "tunnel: a %T is no message of Export", m)
	}
	select {
	case message := <-s.inbox:
		into.Message = message.GetMessage()
		return nil
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

// Context implements grpc.ServerStream.
func (s *serverCall) Context() context.Context { return s.ctx }

// SetHeader implements grpc.ServerStream. Export has no headers.
func (s *serverCall) SetHeader(metadata.MD) error { return nil }

// SendHeader implements grpc.ServerStream. Export has no headers.
func (s *serverCall) SendHeader(metadata.MD) error { return nil }

// SetTrailer implements grpc.ServerStream. Export has no trailers.
func (s *serverCall) SetTrailer(metadata.MD) {}
