package suite

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/conformance/internal/launch"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
)

// Connector is a connector process that a check has started and can call.
type Connector struct {
	*launch.Process
	Handshake launch.Handshake
	Conn      *grpc.ClientConn
	Port      connectorv1.ConnectorServiceClient
	// Heard is all that it has answered over Conn.
	Heard Heard

	t     *T
	ended atomic.Bool // the check has ended it, or means it to end
}

// Spawn starts a process and does not wait for it. It ends with the check.
func (t *T) Spawn(opts launch.Options) *launch.Process {
	if opts.Binary == "" {
		opts.Binary = t.Profile.Binary
	}
	process, err := launch.Start(opts)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(process.Close)
	return process
}

// Start starts a connector as the host does. It ends with the check.
func (t *T) Start() *Connector { return t.StartWith(launch.Options{}) }

// StartWith starts a connector and connects to it. A connector that ends
// before the check does, unless the check says Ending, fails the check.
func (t *T) StartWith(opts launch.Options) *Connector {
	c := &Connector{t: t, Process: t.Spawn(opts)}
	var err error
	if c.Handshake, err = c.Process.Handshake(t.ctx, t.Limits().Start.D()+t.Limits().Slack.D()); err != nil {
		t.Fatalf("%v", err)
	}
	if c.Conn, err = c.Dial(c.Handshake, launch.Host, grpc.WithStatsHandler(&c.Heard)); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = c.Conn.Close() })
	c.Port = connectorv1.NewConnectorServiceClient(c.Conn)
	t.mu.Lock()
	t.observers = append(t.observers, c)
	t.mu.Unlock()
	return c
}

// With returns the connector as another client calls it. What that one hears is
// not kept.
func (c *Connector) With(client connectorv1.ConnectorServiceClient) *Connector {
	return &Connector{t: c.t, Process: c.Process, Handshake: c.Handshake, Conn: c.Conn, Port: client}
}

// Ending says that the check is about to end the connector.
func (c *Connector) Ending() { c.ended.Store(true) }

// Kill ends the connector with SIGKILL, as the host does at any time.
func (c *Connector) Kill() {
	c.Ending()
	c.Process.Kill()
}

// Shutdown asks the connector to stop, as the host does first.
func (c *Connector) Shutdown(ctx context.Context) error {
	c.Ending()
	var empty launch.Bytes
	return c.Conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &launch.Bytes{}, &empty, grpc.ForceCodec(launch.RawCodec{}))
}

// Terminate sends SIGTERM.
func (c *Connector) Terminate() error {
	c.Ending()
	return c.Signal(syscall.SIGTERM)
}

func (c *Connector) checkAlive() {
	if c.ended.Load() {
		return
	}
	select {
	case <-c.Exited():
		status, _ := c.Wait(0)
		c.t.Errorf("the connector ended during the check, with status %d; standard error ends with: %s",
			status, strings.TrimSpace(c.Stderr.Tail(500)))
	default:
	}
}

// Call returns a context for one call to a target that works.
func (t *T) Call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, t.Limits().Call.D())
}

// TestConnection tries a config and returns the answer; a gRPC status ends the
// check.
func (c *Connector) TestConnection(config []byte) *connectorv1.TestConnectionResponse {
	ctx, cancel := c.t.Call()
	defer cancel()
	response, err := c.Port.TestConnection(ctx, &connectorv1.TestConnectionRequest{Connection: Connection(config)})
	if err != nil {
		c.t.Fatalf("TestConnection answered with a gRPC status: %v", err)
	}
	return response
}

// Orders returns what the ERP has got to see, and fails if anything temporary
// lies there.
func (t *T) Orders() []target.Artefact {
	orders, temporary := t.Look()
	for _, a := range temporary {
		t.Errorf("%q was left behind at the target", a.Name)
	}
	return orders
}

// Look returns what the ERP takes for orders, and what it does not.
func (t *T) Look() (orders, temporary []target.Artefact) { return t.LookAt(t.target) }

// LookAt does so at another target.
func (t *T) LookAt(at target.Target) (orders, temporary []target.Artefact) {
	all, err := at.List(t.ctx)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, a := range all {
		if a.Temporary {
			temporary = append(temporary, a)
		} else {
			orders = append(orders, a)
		}
	}
	return orders, temporary
}

// WantOrders fails unless the ERP has got exactly n orders, and returns them.
func (t *T) WantOrders(n int) []target.Artefact {
	orders := t.Orders()
	if len(orders) != n {
		t.Errorf("the target has %d orders, want %d", len(orders), n)
	}
	return orders
}

// Within fails if what started at a moment took longer than a limit and the
// slack.
func (t *T) Within(what string, started time.Time, limit time.Duration) {
	if took := time.Since(started); took > limit+t.Limits().Slack.D() {
		t.Errorf("%s took %v, more than %v", what, took.Round(time.Millisecond), limit)
	}
}

// Eventually waits until done returns true and says whether it did in time.
func (t *T) Eventually(within time.Duration, done func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-look.C:
		case <-deadline.C:
			return done()
		case <-t.ctx.Done():
			return false
		}
	}
}

// Pause waits.
func (t *T) Pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
