package pluginhost_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/tunnel"
)

// connect is the connector's main.
func connect(p behavior) {
	before(p)
	out := os.Stdout
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: port.ProtocolVersion, MagicCookieKey: port.CookieKey, MagicCookieValue: port.CookieValue,
		},
		Plugins: plugin.PluginSet{port.PluginName: &servedPlugin{service: &hostile{plan: p}}},
		Logger:  hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			go after(p, out)
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(port.MaxMessage))...)
		},
	})
}

// before does what a plan wants done before the handshake.
func before(p behavior) {
	switch p.Before {
	case "noise":
		fmt.Fprintln(os.Stdout, "starting up …\n1|not a handshake")
		fmt.Fprintln(os.Stdout, strings.Repeat("x", 100<<10))
	case "endless noise":
		for {
			fmt.Fprintln(os.Stdout, strings.Repeat("noise ", 1000))
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "no license found")
		exit(3)
	case "panic":
		panic("cannot find my library")
	case "mute":
		pause(time.Hour)
	case "mute and stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		pause(time.Hour)
	case "tcp":
		fmt.Fprintln(os.Stdout, "1|1|tcp|127.0.0.1:1|grpc|")
		pause(time.Hour)
	case "foreign socket":
		fmt.Fprintln(os.Stdout, "1|1|unix|/run/foreign.sock|grpc|")
		pause(time.Hour)
	case "climbing socket":
		fmt.Fprintf(os.Stdout, "1|1|unix|%s/../foreign.sock|grpc|\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		pause(time.Hour)
	case "never serves":
		neverServe()
	case "fail once":
		if _, err := os.Stat(p.State); err != nil {
			os.WriteFile(p.State, nil, 0o600)
			exit(4)
		}
	case "report":
		report(p.State)
	}
}

// neverServe shakes hands, listens, and never answers on the socket.
func neverServe() {
	path := os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/plugin1"
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = syscall.Listen(fd, 8)
	}
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stdout, "1|1|unix|%s|grpc|\n", path)
	pause(time.Hour)
}

// report writes down what the process was given.
func report(path string) {
	var b strings.Builder
	for _, v := range os.Environ() {
		fmt.Fprintln(&b, "env", strings.ReplaceAll(v, "\n", " "))
	}
	fmt.Fprintln(&b, "args", os.Args)
	stdin, _ := os.Readlink("/proc/self/fd/0")
	fmt.Fprintln(&b, "stdin", stdin)
	fmt.Fprintln(&b, "group", syscall.Getpgrp() == os.Getpid())
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		to, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if n, _ := strconv.Atoi(fd.Name()); err == nil && n > 2 {
			fmt.Fprintln(&b, "fd", fd.Name(), to)
		}
	}
	os.WriteFile(path+".tmp", []byte(b.String()), 0o600)
	os.Rename(path+".tmp", path)
}

// after does what a plan wants done once it serves.
func after(p behavior, stdout *os.File) {
	stderr := os.NewFile(2, "stderr") // go-plugin replaces os.Stderr
	switch p.Serve {
	case "bad json":
		for _, line := range []string{
			`{"@message":1,"@level":"info"}`, `{"@message":"x","@level":{}}`, `{"@timestamp":[],"@message":"y"}`,
			`{"@message":null}`, `{"@level":7}`, `{`, `[]`, `null`, "\x00\xff",
		} {
			fmt.Fprintln(stderr, line)
		}
	case "long lines":
		pause(50 * time.Millisecond) // after the handshake
		for range 8 {
			fmt.Fprintln(stdout, strings.Repeat("o", 1<<20))
			fmt.Fprintln(stderr, strings.Repeat("e", 1<<20))
		}
		os.WriteFile(p.State, nil, 0o600)
	case "flood":
		for i := range 200_000 {
			fmt.Fprintln(stderr, "line", i)
		}
		fmt.Fprintln(stderr, "the last word")
		os.WriteFile(p.State, nil, 0o600)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	case "grandchild":
		spawn(p.State, false)
	case "grandchild of its own group":
		spawn(p.State, true)
	case "lifeline":
		fd, _ := strconv.Atoi(os.Getenv(port.LifelineEnv))
		os.NewFile(uintptr(fd), "lifeline").Read(make([]byte, 1))
		os.WriteFile(p.State, nil, 0o600)
		exit(0)
	case "die soon":
		pause(300 * time.Millisecond)
		exit(5)
	}
}

// spawn leaves a child that holds the standard streams and ignores signals.
func spawn(state string, ownGroup bool) {
	child := exec.Command("/bin/sh", "-c", `trap "" TERM HUP INT; while :; do sleep 1; done`)
	child.Stdout, child.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: ownGroup}
	if err := child.Start(); err != nil {
		panic(err)
	}
	os.WriteFile(state+".tmp", []byte(strconv.Itoa(child.Process.Pid)), 0o600)
	os.Rename(state+".tmp", state)
}

type servedPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	service *hostile
}

func (s *servedPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	connectorv1.RegisterConnectorServiceServer(server, s.service)
	if s.service.plan.Tunnel {
		connectorv1.RegisterExportTunnelServiceServer(server, tunnel.NewService(s.service))
	}
	return nil
}

func (*servedPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("not a client")
}

const defaultSchema = `{"type":"object","additionalProperties":false,"properties":{
	"password":{"type":"string","writeOnly":true},"say":{"type":"string"}}}`

func (c *hostile) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	version := cmp.Or(c.plan.Version, "1.0.0")
	switch c.plan.Describe {
	case "hang":
		select {}
	case "crash":
		fmt.Fprintln(os.NewFile(2, "stderr"), "panic: describe is broken")
		exit(2)
	case "change":
		n, _ := os.ReadFile(c.plan.State)
		os.WriteFile(c.plan.State, append(n, 'x'), 0o600)
		version = fmt.Sprintf("1.0.%d", len(n))
	}
	return &connectorv1.DescribeResponse{
		ConnectorType: cmp.Or(c.plan.Type, "NOOP"), Name: cmp.Or(c.plan.Name, "Noop"), Version: version,
		ConfigSchema:         []byte(cmp.Or(c.plan.Schema, defaultSchema)),
		ExportFormatVersions: []string{"orderflow_export_json_v1"},
	}, nil
}
