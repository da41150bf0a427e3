package pluginhost_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost"
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// world is a plugin directory with a host on it.
type world struct {
	tb   testing.TB
	dir  string // plugin directory
	opts pluginhost.Options
	log  *logBuffer
	host *pluginhost.Host
}

// logBuffer keeps all log lines as JSON.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newWorld(tb testing.TB) *world {
	w := &world{tb: tb, dir: tb.TempDir(), log: &logBuffer{}}
	w.opts = pluginhost.Options{
		Dir: w.dir, RunDir: filepath.Join(tb.TempDir(), "run"), Dev: true,
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
		Limits: pluginhost.Limits{Settle: 20 * time.Second, Scan: time.Hour},
	}
	return w
}

// start opens and starts the host, and stops it when the test ends.
func (w *world) start() *pluginhost.Host {
	w.tb.Helper()
	h, err := pluginhost.Open(w.opts)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.host = h
	w.tb.Cleanup(func() { w.stop() })
	if err := h.Start(context.Background()); err != nil {
		w.tb.Fatal(err)
	}
	return h
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := w.host.Stop(ctx); err != nil {
		w.tb.Errorf("stop: %v", err)
	}
}

func (w *world) port(connectorType string) connector.Port {
	w.tb.Helper()
	p, err := w.host.Get(connectorType)
	if err != nil {
		w.tb.Fatalf("%v\nstatus: %+v\nlog: %s", err, w.host.Status(), w.log)
	}
	return p
}

func (w *world) status(file string) connector.Status {
	w.tb.Helper()
	for _, s := range w.host.Status() {
		if filepath.Base(s.Binary) == "orderport-connector-"+file && s.State != connector.Draining {
			return s
		}
	}
	w.tb.Fatalf("no status of %s in %+v", file, w.host.Status())
	return connector.Status{}
}

// export runs one export whose order tells the connector what to do.
func export(p connector.Port, act string, sink connector.Sink) (*connectorv1.ExportResult, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return exportCtx(ctx, p, act, sink)
}

func exportCtx(ctx context.Context, p connector.Port, act string, sink connector.Sink) (*connectorv1.ExportResult, error) {
	if sink == nil {
		sink = &memorySink{}
	}
	return p.Export(ctx, startOf(act), sink)
}

const secret = `s3cr3t"p+ss/w=rd`

func startOf(act string) *connectorv1.ExportStart {
	return &connectorv1.ExportStart{
		ExportId: "7f0c3f4e-3f6e-4f0a-9d3b-0d8a4f1f2a11", Attempt: 1,
		Connection: &connectorv1.Connection{Id: "c", OrgSlug: "acme", Config: []byte(`{"password":"s3cr3t\"p+ss/w=rd"}`)},
		DraftOrder: &connectorv1.DraftOrder{Id: "o", Notes: &act},
	}
}

// memorySink keeps what a connector stores.
type memorySink struct {
	mu         sync.Mutex
	payloads   map[string][]byte
	checkpoint []byte
	progress   []string
	err        error // what every store request answers, if set
}

func (m *memorySink) StorePayload(_ context.Context, name string, data []byte) (*connectorv1.PayloadStored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if m.payloads == nil {
		m.payloads = map[string][]byte{}
	}
	m.payloads[name] = data
	return &connectorv1.PayloadStored{StorageKey: "exports/" + name, Size: uint64(len(data))}, nil
}

func (m *memorySink) SaveCheckpoint(_ context.Context, data []byte, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checkpoint = data
	return m.err
}

func (m *memorySink) Progress(message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress = append(m.progress, message)
}

// eventually waits for something that has no signal of its own.
func eventually(tb testing.TB, within time.Duration, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(within); !is(); pause(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", within, what)
		}
	}
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

// alive says whether a process exists and is no zombie.
func alive(pid int) bool {
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func asCrash(err error) *connector.CrashError {
	var e *connector.CrashError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
