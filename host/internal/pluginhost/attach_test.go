package pluginhost_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// debugged is a connector that is not the host's process: it is this test.
type debugged struct {
	connectorv1.UnimplementedConnectorServiceServer
	tests atomic.Int32
	pause atomic.Int64 // how long a test stands still, as at a breakpoint
}

func (*debugged) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	return &connectorv1.DescribeResponse{
		ConnectorType: "HOSTILE", Name: "Debugged", Version: "9.9.9", Vendor: "Test", Summary: "Is this test.",
		ConfigSchema: []byte(`{"type":"object","additionalProperties":false}`), ExportFormatVersions: []string{"orderflow_export_json_v1"},
	}, nil
}

func (d *debugged) TestConnection(context.Context, *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	<-time.After(time.Duration(d.pause.Load()))
	d.tests.Add(1)
	return &connectorv1.TestConnectionResponse{Success: true}, nil
}

// serveDebugged serves it and returns the file to attach by.
func serveDebugged(t *testing.T, service *debugged) (file string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "att") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	connectorv1.RegisterConnectorServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	file = filepath.Join(dir, "attach.json")
	err = port.WriteAttach(file, port.Attach{PID: os.Getpid(), Socket: listener.Addr().String(), ProtocolVersion: port.ProtocolVersion})
	if err != nil {
		t.Fatal(err)
	}
	return file, func() { server.Stop(); _ = os.Remove(file) }
}

func tested(p connector.Port) error {
	_, err := p.TestConnection(context.Background(), &connectorv1.TestConnectionRequest{Connection: &connectorv1.Connection{Config: []byte(`{}`)}})
	return err
}

func TestAnAttachedConnectorIsCalledInsteadOfTheInstalledOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	install(t, w.dir, "hostile", behavior{Type: "HOSTILE"})
	service := &debugged{}
	file, stop := serveDebugged(t, service)
	w.opts.Attach = []string{file}
	w.opts.Limits.PingEvery, w.opts.Limits.PingTimeout = 10*time.Millisecond, 10*time.Millisecond
	h := w.start()
	service.pause.Store(int64(300 * time.Millisecond)) // it does not answer pings either: there is no health service
	p, err := h.Get("HOSTILE")
	if err != nil {
		t.Fatal(err)
	}
	if err := tested(p); err != nil || service.tests.Load() != 1 {
		t.Fatalf("the attached connector was called %d times: %v", service.tests.Load(), err)
	}
	isolated, err := h.Isolated("HOSTILE")
	if err != nil {
		t.Fatal(err)
	}
	if err := tested(isolated); err != nil || service.tests.Load() != 2 {
		t.Errorf("isolated, it was called %d times: %v", service.tests.Load(), err)
	}

	// When the session ends, the installed one takes over.
	stop()
	if err := h.Rescan(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err = h.Get("HOSTILE"); err != nil {
		t.Fatal(err)
	}
	if err := tested(p); err != nil || service.tests.Load() != 2 {
		t.Errorf("the installed connector: %v", err)
	}
}

func TestAnAttachedConnectorIsNotEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := &debugged{}
	file, _ := serveDebugged(t, service)
	w.opts.Attach = []string{file}
	for range 2 { // this process has survived the first host's stop
		h := w.start()
		p, err := h.Get("HOSTILE")
		if err != nil {
			t.Fatal(err)
		}
		if err := tested(p); err != nil {
			t.Error(err)
		}
		w.stop()
	}
	if n := service.tests.Load(); n != 2 {
		t.Errorf("called %d times", n)
	}
}

func TestWhatCannotBeAttachedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	garbage := write("garbage.json", "hello")
	future := write("future.json", `{"orderport_attach":1,"pid":1,"socket":"/nowhere","protocol_version":99}`)
	w.opts.Attach = []string{garbage, future, filepath.Join(dir, "missing.json")}
	states := map[string]connector.Status{}
	for _, s := range w.start().Status() {
		states[s.Binary] = s
	}
	if s := states[garbage]; s.State != connector.Quarantined || !strings.Contains(s.Reason, "not written by a connector") {
		t.Errorf("garbage: %+v", s)
	}
	if s := states[future]; s.State == connector.Ready || !strings.Contains(s.Reason, "protocol version 99") {
		t.Errorf("future: %+v", s)
	}
	if len(states) != 2 {
		t.Errorf("states %+v", states)
	}
	for name, change := range map[string]func(*pluginhost.Options){
		"without development mode": func(o *pluginhost.Options) { o.Dev = false },
		"named like a binary":      func(o *pluginhost.Options) { o.Attach = []string{filepath.Join(dir, "orderport-connector-x")} },
	} {
		opts := w.opts
		opts.RunDir = filepath.Join(t.TempDir(), "run")
		change(&opts)
		if h, err := pluginhost.Open(opts); err == nil {
			t.Errorf("%s: it is opened", name)
			_ = h.Stop(t.Context())
		}
	}
}
