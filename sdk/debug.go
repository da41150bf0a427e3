package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/go-plugin"

	"github.com/orderport/orderport/sdk/port"
)

// serveDebug serves without a host having started the process, until it is
// interrupted. A host in development mode finds it through the file.
func serveDebug(connector Connector, file string) error {
	service, err := newServer(connector)
	if err != nil {
		return fmt.Errorf("the connector can't be served: %w", err)
	}
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	sockets, err := os.MkdirTemp("", "orderport-debug-")
	if err != nil {
		return fmt.Errorf("make a folder for the socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(sockets) }()
	if err := os.Setenv(plugin.EnvUnixSocketDir, sockets); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ready := make(chan *plugin.ReattachConfig, 1)
	p := &process{
		server: service, stderr: os.Stderr, ended: make(chan struct{}),
		debug: &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: ready},
	}
	p.stopping, p.stop = context.WithCancel(ctx)
	defer p.stop()
	announced := make(chan error, 1)
	go func() { announced <- announce(file, ready, p.ended, stop) }()
	p.serve()
	stop()
	return errors.Join(<-announced, removeOwn(file))
}

// announce writes the file once the socket is there, and says what to do next.
// It stops the connector if it can't.
func announce(file string, ready <-chan *plugin.ReattachConfig, ended <-chan struct{}, stop func()) error {
	select {
	case config := <-ready:
		err := port.WriteAttach(file, port.Attach{
			PID: config.Pid, Socket: config.Addr.String(), ProtocolVersion: config.ProtocolVersion,
		})
		if err != nil {
			stop()
			return fmt.Errorf("write %s: %w", port.DebugEnv, err)
		}
		fmt.Fprintf(os.Stderr, "This connector waits for a host in development mode, without protection. Run:\n\n"+
			"  orderport serve --dev --attach %s\n\nInterrupt it to end. A host that runs already notices a restart by itself.\n", file)
		return nil
	case <-ended:
		return errors.New("the connector could not listen")
	}
}

// removeOwn removes the file unless a later process has replaced it.
func removeOwn(file string) error {
	if a, err := port.ReadAttach(file); err != nil || a.PID != os.Getpid() {
		return nil
	}
	return os.Remove(file)
}

// debugLevel is what is logged in a debugging session unless the environment
// says otherwise.
func debugLevel() slog.Level {
	if _, set := os.LookupEnv(port.LogLevelEnv); set {
		return logLevel()
	}
	return slog.LevelDebug
}
