package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/tunnel"
)

// How long the process waits.
const (
	stopGrace   = 5 * time.Second        // on SIGTERM, for running calls
	endGrace    = time.Second            // for calls whose context has ended
	parentCheck = 500 * time.Millisecond // between looks at the parent
	flushGrace  = 500 * time.Millisecond // to send the last results, or to close the socket
)

// streamWorkers is how many goroutines serve one call after the other, so that
// their stacks grow once and not with each call. Calls beyond them get
// goroutines of their own.
const streamWorkers = 256

// Serve runs a connector until its host stops it, and ends the process. It is
// the last thing that main calls. Nothing may be printed to standard output
// before: the host reads the address of the connector there. What is printed
// later ends up in the log.
//
// To run a connector under a debugger, set ORDERPORT_DEBUG_ATTACH to the path of
// a file to be written, start it, and do what it prints: a host in development
// mode then calls it, and does not mind that it stands still at a breakpoint.
//
// The process ends with status 0 when the host asks for it, when it gets
// SIGTERM (running calls may finish, for five seconds), and within two seconds
// when the host has died. It ends with status 1 when it was not started by a
// host, or by one that speaks another protocol version, or when Describe breaks
// the rules; standard error then says why.
func Serve(connector Connector) {
	if os.Getenv(port.CookieKey) != port.CookieValue {
		if file := os.Getenv(port.DebugEnv); file != "" {
			slog.SetDefault(slog.New(NewLogHandler(os.Stderr, debugLevel())))
			if err := serveDebug(connector, file); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
		fmt.Fprintf(os.Stderr, "This is an Orderport connector; it is started by the Orderport host.\n"+
			"Put it into the host's plugin directory (ORDERPORT_PLUGIN_DIR) under a name that starts\n"+
			"with %q and run: orderport connector list\n", port.BinaryPrefix)
		os.Exit(1)
	}
	if offered := os.Getenv(protocolVersionsEnv); !speaksWith(offered) {
		fmt.Fprintf(os.Stderr, "This connector speaks version %d of the connector protocol; the host speaks %s.\n",
			port.ProtocolVersion, offered)
		os.Exit(1)
	}
	showName(strings.TrimPrefix(filepath.Base(os.Args[0]), port.BinaryPrefix))
	signal.Ignore(os.Interrupt) // meant for the host; go-plugin begins to ignore it later
	p := &process{stderr: os.Stderr, parent: os.Getppid(), ended: make(chan struct{})}
	p.stopping, p.stop = context.WithCancel(context.Background())
	slog.SetDefault(slog.New(NewLogHandler(p.stderr, logLevel())))
	var err error
	if p.server, err = newServer(connector); err != nil {
		slog.Error("the connector can't be served: " + err.Error())
		os.Exit(1)
	}
	slack := heapSlack()
	p.serve()
	runtime.KeepAlive(slack)
	os.Exit(0)
}

// showName is what top and pgrep call the process. The host starts connectors
// from a file that has no name, so Linux would call them by its number.
func showName(name string) {
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // Linux cuts it off after 15 bytes
}

// protocolVersionsEnv holds the protocol versions that the host speaks.
const protocolVersionsEnv = "PLUGIN_PROTOCOL_VERSIONS"

// speaksWith says whether a host with these versions can be served. go-plugin
// would serve any host, which would then have to notice by itself.
func speaksWith(offered string) bool {
	return offered == "" || slices.Contains(strings.Split(offered, ","), strconv.Itoa(port.ProtocolVersion))
}

// heapSlack lets the heap grow by 24 MiB, and not only by as much as is alive,
// before it is collected: a connector keeps little and so would collect all the
// time. The pages are never touched, so they cost no memory.
func heapSlack() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil // somebody knows better
	}
	return make([]byte, 24<<20)
}

func logLevel() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(os.Getenv(port.LogLevelEnv))) != nil {
		return slog.LevelInfo
	}
	return level
}

// process is a connector with a process around it.
type process struct {
	server *server
	stderr *os.File // the real one: go-plugin replaces os.Stderr
	parent int      // the host, as long as it lives
	grpc   *grpc.Server
	ended  chan struct{} // closed once the socket is

	// debug is set where no host has started the process.
	debug *plugin.ServeTestConfig

	// stopping ends go-plugin's own streams, which otherwise never end.
	stopping context.Context
	stop     context.CancelFunc

	capture sync.Once
}

// serve returns once the gRPC server has stopped and its calls have ended.
func (p *process) serve() {
	signal.Ignore(syscall.SIGPIPE) // a log line nobody reads must not kill
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  port.ProtocolVersion,
			MagicCookieKey:   port.CookieKey,
			MagicCookieValue: port.CookieValue,
		},
		Plugins:    plugin.PluginSet{port.PluginName: &grpcPlugin{service: p.server, tunnel: p.debug == nil}},
		GRPCServer: p.newGRPCServer,
		Logger: hclog.New(&hclog.LoggerOptions{
			Level: hclog.Warn, Output: p.stderr, JSONFormat: true,
		}),
		Test: p.debug,
	})
	close(p.ended)
	select {
	case <-p.server.calls.drain():
	case <-time.After(endGrace):
	}
}

// newGRPCServer is called by go-plugin before it prints the handshake.
func (p *process) newGRPCServer(opts []grpc.ServerOption) *grpc.Server {
	p.grpc = grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(port.MaxMessage),
		grpc.MaxSendMsgSize(port.MaxMessage),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.InitialWindowSize(port.StreamWindow),
		grpc.InitialConnWindowSize(port.ConnectionWindow),
		grpc.UnaryInterceptor(func(
			ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
		) (any, error) {
			p.called(info.FullMethod)
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(
			srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
		) error {
			p.called(info.FullMethod)
			if _, ours := srv.(connectorv1.ConnectorServiceServer); ours {
				return handler(srv, stream)
			}
			ctx, cancel := context.WithCancel(stream.Context())
			defer cancel()
			stop := context.AfterFunc(p.stopping, cancel)
			defer stop()
			return handler(srv, &stoppable{stream, ctx})
		}),
	)...)
	if p.debug == nil {
		// The host may send one as soon as it has read the handshake.
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM)
		go p.stopOnSignal(signals)
		go p.watchLifeline()
		go p.watchParent()
	}
	return p.grpc
}

// called is told of each call when it begins. A debugging session keeps its
// output where it is, and shows what the host does.
func (p *process) called(method string) {
	if p.debug == nil {
		p.capture.Do(p.captureOutput)
	} else if strings.Contains(method, "ConnectorService") {
		slog.Debug("called by the host", "method", method)
	}
}

// stopOnSignal lets running calls finish and then stops; a second signal stops
// at once.
func (p *process) stopOnSignal(signals <-chan os.Signal) {
	<-signals
	slog.Info("stopping: got SIGTERM")
	select {
	case <-p.server.calls.drain():
	case <-signals:
	case <-time.After(stopGrace):
		slog.Warn("stopping although calls are running")
	}
	p.stop()
	flush := time.AfterFunc(flushGrace, p.grpc.Stop)
	defer flush.Stop()
	p.grpc.GracefulStop()
}

// stoppable is a stream with a context that this process can end.
type stoppable struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *stoppable) Context() context.Context { return s.ctx }

// watchLifeline ends the process when the host's end of the lifeline closes.
func (p *process) watchLifeline() {
	text, ok := os.LookupEnv(port.LifelineEnv)
	if !ok {
		return
	}
	fd, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		slog.Warn("ignoring the lifeline: not a file descriptor")
		return
	}
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	closeOnExec(uintptr(fd)) // a child must not hear for us
	if _, err := io.Copy(io.Discard, lifeline); errors.Is(err, syscall.EBADF) {
		slog.Warn("ignoring the lifeline: the file descriptor is not open")
		return
	}
	p.endOrphaned("the host has closed the lifeline")
}

// watchParent ends the process when it gets another parent, which is what
// happens when the host dies and nobody else notices.
func (p *process) watchParent() {
	for range time.Tick(parentCheck) {
		if os.Getppid() != p.parent {
			p.endOrphaned("the host process has gone")
		}
	}
}

// endOrphaned cuts everything off: there is no one to answer to.
func (p *process) endOrphaned(reason string) {
	slog.Warn("ending: " + reason)
	go p.grpc.Stop()
	select {
	case <-p.ended:
	case <-time.After(flushGrace):
	}
	os.Exit(0)
}

// captureOutput turns what the connector prints into log lines, so that it
// neither gets between the handshake and the host nor blocks where nobody
// reads. It runs in the first call, after go-plugin has put its own pipes in
// place.
func (p *process) captureOutput() {
	if w, err := logLines("stdout"); err == nil {
		os.Stdout = w
	}
	if w, err := logLines("stderr"); err == nil {
		os.Stderr = w
	}
}

func logLines(stream string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewReaderSize(r, longestLine/2)
		for {
			line, err := lines.ReadSlice('\n') // a longer line comes in pieces
			if text := strings.TrimRight(string(line), "\r\n"); text != "" {
				slog.Info(text, "printed_to", stream)
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	}()
	return w, nil
}

// grpcPlugin registers the service with go-plugin.
type grpcPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	service connectorv1.ConnectorServiceServer
	tunnel  bool // who debugs a connector wants to see each call
}

// GRPCServer implements plugin.GRPCPlugin.
func (g *grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	connectorv1.RegisterConnectorServiceServer(s, g.service)
	if g.tunnel {
		connectorv1.RegisterExportTunnelServiceServer(s, tunnel.NewService(g.service))
	}
	return nil
}

// GRPCClient implements plugin.GRPCPlugin. A connector is never a client.
func (g *grpcPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a connector does not call itself")
}
