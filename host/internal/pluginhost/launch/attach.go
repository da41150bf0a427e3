package launch

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
	"github.com/orderport/orderport/sdk/port"
)

// aliveEvery is how often it is looked whether an attached process is there.
const aliveEvery = 200 * time.Millisecond

// Attach connects to a connector that somebody else has started, usually under
// a debugger. It is never ended from here: Stop and Kill only let go of it.
func (l *Launcher) Attach(ctx context.Context, name string, to port.Attach, sink *connlog.Sink) (*Process, error) {
	if to.ProtocolVersion != port.ProtocolVersion {
		return nil, fmt.Errorf("attach: the connector speaks protocol version %d, this host %d", to.ProtocolVersion, port.ProtocolVersion)
	}
	p := &Process{
		spec: Spec{Name: name, Sink: sink}, launcher: l, letGo: make(chan struct{}),
		done: make(chan struct{}), cleaned: make(chan struct{}),
	}
	var err error
	if p.os, err = os.FindProcess(to.PID); err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	connected := make(chan error, 1)
	go func() { connected <- p.reattach(to) }()
	select {
	case err = <-connected:
	case <-ctx.Done():
		err = fmt.Errorf("not attached in time: %w", context.Cause(ctx))
	}
	go p.watchAttached()
	if err != nil {
		p.Kill("not attached")
		return nil, fmt.Errorf("attach to process %d: %w", to.PID, err)
	}
	return p, nil
}

// reattach lets go-plugin dial.
func (p *Process) reattach(to port.Attach) error {
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  port.ProtocolVersion,
			MagicCookieKey:   port.CookieKey,
			MagicCookieValue: port.CookieValue,
		},
		Plugins:          plugin.PluginSet{port.PluginName: connPlugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach: &plugin.ReattachConfig{
			Protocol: plugin.ProtocolGRPC, ProtocolVersion: to.ProtocolVersion, Pid: to.PID, Test: true,
			Addr:         &net.UnixAddr{Net: "unix", Name: to.Socket},
			ReattachFunc: func() (runner.AttachedRunner, error) { return &attachedRunner{p}, nil },
		},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		GRPCDialOptions: dialOptions(),
	})
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(port.PluginName)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = raw.(*grpc.ClientConn)
	return nil
}

// watchAttached owns an attached process until it is gone or let go of.
func (p *Process) watchAttached() {
	defer close(p.cleaned)
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for alive := true; alive; {
		select {
		case <-p.letGo:
			alive = false
		case <-tick.C:
			alive = p.os.Signal(syscall.Signal(0)) == nil
		}
	}
	p.mu.Lock()
	p.reaped = true
	p.exit = Exit{Status: "the attached process has ended or was let go of", ByHost: p.byHost}
	conn := p.conn
	p.mu.Unlock()
	p.spec.Sink.End()
	close(p.done)
	if conn != nil {
		_ = conn.Close()
	}
}

// release lets go of an attached process. It needs mu.
func (p *Process) release(reason string) {
	if p.byHost == "" && !p.reaped {
		p.byHost = reason
		close(p.letGo)
	}
}

// attachedRunner is what go-plugin sees of an attached process.
type attachedRunner struct{ p *Process }

// Wait returns when the process is gone or was let go of.
func (r *attachedRunner) Wait(context.Context) error {
	<-r.p.done
	return nil
}

// Kill only lets go.
func (r *attachedRunner) Kill(context.Context) error {
	r.p.Kill("let go")
	return nil
}

// ID is the process id.
func (r *attachedRunner) ID() string { return strconv.Itoa(r.p.PID()) }

// PluginToHost and HostToPlugin are for brokered streams, which are not used.
func (r *attachedRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin is for brokered streams, which are not used.
func (r *attachedRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
