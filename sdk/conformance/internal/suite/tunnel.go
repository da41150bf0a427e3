package suite

import (
	"context"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Tunnel is the host's side of one stream that carries many exports (SVC-07).
// A frame that breaks the rules fails the check.
type Tunnel struct {
	t         *T
	connector *Connector
	stream    connectorv1.ExportTunnelService_TunnelClient
	cut       context.CancelFunc
	ended     chan struct{} // closed when the stream has ended

	sending sync.Mutex // held by the one that sends

	mu    sync.Mutex
	calls map[uint64]*tunnelCall // guarded by mu; all that were ever begun
	open  int                    // guarded by mu; those that have not ended
}

// OpenTunnel opens a tunnel, which breaks at the end of the check. A check of a
// connector that serves none ends here, skipped.
func (c *Connector) OpenTunnel() *Tunnel {
	ctx, cut := context.WithCancel(c.t.ctx)
	c.t.Cleanup(cut)
	limit := c.t.Limits().Describe.D() + c.t.Limits().Slack.D()
	overdue := time.AfterFunc(limit, cut)
	stream, err := connectorv1.NewExportTunnelServiceClient(c.Conn).Tunnel(ctx)
	var first *connectorv1.TunnelResponse
	if err == nil {
		first, err = stream.Recv()
	}
	switch inTime := overdue.Stop(); {
	case status.Code(err) == codes.Unimplemented:
		c.t.Skipf("the connector does not serve ExportTunnelService")
	case !inTime:
		c.t.Fatalf("%v after the tunnel was opened no message has come", limit)
	case err != nil:
		c.t.Fatalf("open a tunnel: %v", err)
	case len(first.GetFrames()) > 0:
		c.t.Fatalf("the first message of the tunnel has frames, though there is no call")
	}
	u := &Tunnel{
		t: c.t, connector: c, stream: stream, cut: cut, ended: make(chan struct{}), calls: map[uint64]*tunnelCall{},
	}
	go u.receive()
	return u
}

// Connector returns the connector with exports that go through the tunnel.
// timeout is what it is told that each may take; 0: forever.
func (u *Tunnel) Connector(timeout time.Duration) *Connector {
	return u.connector.With(&tunnelPort{ConnectorServiceClient: u.connector.Port, tunnel: u, timeout: timeout})
}

// CallID returns how the nth call is named, from 1 on: the host may choose any
// number.
func (u *Tunnel) CallID(n int) uint64 { return ^uint64(n) } //nolint:gosec // n is small and positive

// Open returns how many calls have begun and not ended.
func (u *Tunnel) Open() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open
}

// Send sends frames in one message. A stream that has ended shows elsewhere.
func (u *Tunnel) Send(frames ...*connectorv1.TunnelRequestFrame) {
	u.sending.Lock()
	defer u.sending.Unlock()
	_ = u.stream.Send(&connectorv1.TunnelRequest{Frames: frames})
}

// CloseSend closes the host's side: no frames come any more.
func (u *Tunnel) CloseSend() {
	u.sending.Lock()
	defer u.sending.Unlock()
	_ = u.stream.CloseSend()
}

// Break ends the stream, as a connection that is lost does.
func (u *Tunnel) Break() { u.cut() }

// Ends says whether the stream ends in time.
func (u *Tunnel) Ends(within time.Duration) bool {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-u.ended:
		return true
	case <-late.C:
		return false
	}
}

func (u *Tunnel) receive() {
	defer close(u.ended)
	for {
		response, err := u.stream.Recv()
		if err != nil {
			return
		}
		for _, frame := range response.GetFrames() {
			u.deliver(frame)
		}
	}
}

func (u *Tunnel) deliver(frame *connectorv1.TunnelResponseFrame) {
	u.mu.Lock()
	call := u.calls[frame.GetCall()]
	if call != nil && !call.begun {
		call = nil
	}
	over := call != nil && call.over
	if call != nil && !over && frame.GetEnd() != nil {
		call.over = true
		u.open--
	}
	u.mu.Unlock()
	switch {
	case call == nil:
		u.t.Errorf("SVC-07: a frame came for the call %d, which was never begun", frame.GetCall())
	case over:
		u.t.Errorf("SVC-07: a frame came for a call after its end")
	default:
		select {
		case call.inbox <- frame:
		case <-call.ctx.Done():
		}
	}
}

// tunnelPort is the Port with exports that go through a tunnel.
type tunnelPort struct {
	connectorv1.ConnectorServiceClient
	tunnel  *Tunnel
	timeout time.Duration
}

// Export implements connectorv1.ConnectorServiceClient. It sends nothing yet.
func (p *tunnelPort) Export(ctx context.Context, _ ...grpc.CallOption) (connectorv1.ConnectorService_ExportClient, error) {
	u := p.tunnel
	u.mu.Lock()
	defer u.mu.Unlock()
	call := &tunnelCall{
		tunnel: u, id: u.CallID(len(u.calls) + 1), ctx: ctx, inbox: make(chan *connectorv1.TunnelResponseFrame, 16),
	}
	if p.timeout > 0 {
		call.timeout = durationpb.New(p.timeout)
	}
	u.calls[call.id] = call
	context.AfterFunc(ctx, call.giveUp)
	return call, nil
}

// tunnelCall is one export as a stream of its own. Its context ends when nobody
// listens any more.
type tunnelCall struct {
	grpc.ClientStream // nil: an export needs no more than Send and Recv
	tunnel            *Tunnel
	id                uint64
	ctx               context.Context
	inbox             chan *connectorv1.TunnelResponseFrame
	begun             bool // guarded by tunnel.mu; its start is sent
	over              bool // guarded by tunnel.mu; its end has come

	timeout *durationpb.Duration // still to be sent
	result  bool                 // has come
	end     error                // what Recv returns from now on
}

// Send implements connectorv1.ConnectorService_ExportClient. A start must not
// follow on the frame that cancels its call.
func (c *tunnelCall) Send(message *connectorv1.ExportRequest) error {
	u := c.tunnel
	u.sending.Lock()
	defer u.sending.Unlock()
	if c.ctx.Err() != nil {
		return io.EOF // Recv says why
	}
	u.mu.Lock()
	if !c.begun {
		c.begun = true
		u.open++
	}
	u.mu.Unlock()
	_ = u.stream.Send(&connectorv1.TunnelRequest{Frames: []*connectorv1.TunnelRequestFrame{
		{Call: c.id, Message: message, Timeout: c.timeout},
	}})
	c.timeout = nil
	return nil
}

// giveUp cancels the call if it goes on.
func (c *tunnelCall) giveUp() {
	c.tunnel.mu.Lock()
	goesOn := c.begun && !c.over
	c.tunnel.mu.Unlock()
	if goesOn {
		c.tunnel.Send(&connectorv1.TunnelRequestFrame{Call: c.id, Cancel: true})
	}
}

// Recv implements connectorv1.ConnectorService_ExportClient.
func (c *tunnelCall) Recv() (*connectorv1.ExportResponse, error) {
	if c.end != nil {
		return nil, c.end
	}
	frame, err := c.next()
	if err != nil {
		return nil, err
	}
	if end := frame.GetEnd(); end != nil {
		c.end = io.EOF
		if end.GetCode() != 0 {
			c.end = status.Error(codes.Code(end.GetCode()), end.GetMessage()) //nolint:gosec // an unknown code is kept
		}
		if frame.GetMessage() == nil {
			return nil, c.end
		}
	}
	c.result = c.result || frame.GetMessage().GetResult() != nil
	return frame.GetMessage(), nil
}

func (c *tunnelCall) next() (*connectorv1.TunnelResponseFrame, error) {
	var late <-chan time.Time
	if c.result {
		late = time.After(c.tunnel.t.Limits().Cancel.D() + c.tunnel.t.Limits().Slack.D())
	}
	select {
	case frame := <-c.inbox:
		return frame, nil
	case <-c.ctx.Done():
		return nil, status.FromContextError(c.ctx.Err()).Err()
	case <-late:
		c.tunnel.t.Errorf("SVC-07: a call has sent its result, and no end")
		return nil, io.EOF
	case <-c.tunnel.ended:
	}
	select { // it may have come just before
	case frame := <-c.inbox:
		return frame, nil
	default:
		return nil, status.Error(codes.Unavailable, "the tunnel has ended")
	}
}
