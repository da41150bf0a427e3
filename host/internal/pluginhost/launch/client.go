package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/orderport/orderport/sdk/port"
)

// clientConfig is go-plugin's configuration for one start. Nothing in it may
// be used twice: go-plugin changes it.
func (p *Process) clientConfig() *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  port.ProtocolVersion,
			MagicCookieKey:   port.CookieKey,
			MagicCookieValue: port.CookieValue,
		},
		Plugins:          plugin.PluginSet{port.PluginName: connPlugin{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.spec.Sockets},
		// Start has the deadline that counts; this one only has to be later.
		StartTimeout: time.Hour,
		Logger:       hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard}),
		SyncStdout:   p.spec.Sink.Writer("stdout"),
		SyncStderr:   p.spec.Sink.Writer("stderr"),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			p.folder(dir)
			return &processRunner{p: p, env: cmd.Env}, nil
		},
		GRPCDialOptions: dialOptions(),
	}
}

func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(port.MaxMessage),
			grpc.MaxCallSendMsgSize(port.MaxMessage),
		),
		grpc.WithChainStreamInterceptor(refuseBroker),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
		grpc.WithInitialWindowSize(port.StreamWindow),
		grpc.WithInitialConnWindowSize(port.ConnectionWindow),
	}
}

// refuseBroker keeps go-plugin from opening its broker stream. The Port has no
// call-backs, and every message on that stream costs the host a goroutine.
func refuseBroker(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	next grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if method == "/plugin.GRPCBroker/StartStream" {
		return nil, status.Error(codes.Unimplemented, "the host has no broker")
	}
	return next(ctx, desc, cc, method, opts...)
}

// connPlugin makes go-plugin hand out the bare connection.
type connPlugin struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer is for the other side.
func (connPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves no connector")
}

// GRPCClient returns the connection.
func (connPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

func shutdown(ctx context.Context, conn *grpc.ClientConn) error {
	return conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
}

// Ping says whether the process answers at all. Any answer counts: what it
// says of its health is its own affair.
func (p *Process) Ping(ctx context.Context) error {
	_, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled:
		return fmt.Errorf("ping: %w", err)
	default:
		return nil
	}
}
