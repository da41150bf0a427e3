package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/scripts/lab/world"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

const dropzoneType = "DROPZONE_JSON_V1"

// aLong is how long a test waits for what must happen in the end. No test
// measures with it, so that a busy machine fails none.
const aLong = 2 * time.Minute

// TestMain ends what tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	server.end()
	_ = os.RemoveAll(simulator.dir) // "" before it is built
	os.Exit(code)
}

// server is the one PostgreSQL of all tests, started by the first that asks.
// Each test has a database of its own in it.
var server sharedPostgres

type sharedPostgres struct {
	mu        sync.Mutex
	dir       string
	pg        *world.Postgres
	err       error
	databases int
}

func (s *sharedPostgres) database(ctx context.Context) (url string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pg == nil && s.err == nil {
		s.start(ctx)
	}
	if s.err != nil {
		return "", s.err
	}
	s.databases++
	return s.pg.CreateDatabase(ctx, fmt.Sprintf("e2e_%d", s.databases))
}

func (s *sharedPostgres) start(ctx context.Context) {
	if s.dir, s.err = os.MkdirTemp("", "orderport-e2e-"); s.err != nil {
		return
	}
	if s.err = os.Chmod(s.dir, 0o755); s.err != nil { // PostgreSQL runs as another user under root
		return
	}
	s.pg, s.err = world.NewPostgres(ctx, filepath.Join(s.dir, "postgres"))
}

func (s *sharedPostgres) end() {
	if s.pg != nil {
		_ = s.pg.Stop() // it is ours alone, and its folder goes
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// skip skips with a reason that says how not to.
func skip(t *testing.T, reason string) {
	t.Helper()
	t.Skip("SKIPPED: " + reason)
}

// install makes an installation with a database and connectors of its own.
// extra is more environment, "NAME=value".
func install(ctx context.Context, t *testing.T, db string, extra ...string) *world.Installation {
	t.Helper()
	bin, err := world.FindBin()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "orderport-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in := world.Installation{Bin: bin, Dir: filepath.Join(dir, "orderport"), Extra: extra}
	if db == "postgres" {
		in.DatabaseURL, err = server.database(ctx)
		if errors.Is(err, world.ErrNoPostgres) {
			skip(t, err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	made, err := world.Install(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// serve starts a host that is stopped, and must stop in good order, at the end
// of the test.
func serve(ctx context.Context, t *testing.T, in *world.Installation, name string, env ...string) *world.Host {
	t.Helper()
	host, err := in.Serve(ctx, name, env...)
	if host == nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Shutdown(); err != nil {
			t.Errorf("stop host %s: %v", name, err)
		}
		if t.Failed() {
			raw, _ := os.ReadFile(host.LogPath())
			t.Logf("the log of host %s ends:\n%s", name, raw[max(0, len(raw)-4000):])
		}
	})
	if err != nil {
		t.Fatalf("start host %s: %v", name, err)
	}
	return host
}

// bounded ends a test that would go on for ever.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// dropzone is a target: where the files appear, and the config that leads there.
type dropzone struct {
	inbox, acks string
	config      map[string]any
	server      *sshtest.Server // nil: a directory
}

// newDropzone makes a target of a kind: filesystem, openssh or proftpd.
func newDropzone(t *testing.T, kind string) dropzone {
	t.Helper()
	root := t.TempDir()
	d := dropzone{config: map[string]any{"mode": "filesystem"}}
	if kind != "filesystem" {
		d.server = sshtest.Run(t, sshtest.Options{Kind: sshtest.Kind(kind)})
		root = d.server.Root
		d.config = map[string]any{
			"mode": "sftp", "host": d.server.Host, "port": d.server.Port, "username": d.server.User, "host_key": d.server.HostKey,
		}
		if d.server.Password != "" {
			d.config["password"] = d.server.Password
		} else {
			d.config["private_key"] = d.server.PrivateKey
		}
	}
	d.inbox, d.acks = filepath.Join(root, "inbox"), filepath.Join(root, "acks")
	for _, dir := range []string{d.inbox, d.acks} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.config["export_path"], d.config["ack_path"], d.config["ack_poll_seconds"] = d.inbox, d.acks, 1
	return d
}

// withoutAcks leaves the ack directory out of the config.
func (d dropzone) withoutAcks() dropzone {
	delete(d.config, "ack_path")
	delete(d.config, "ack_poll_seconds")
	return d
}

// connect makes a connection over a client.
func connect(ctx context.Context, t *testing.T, client *world.Client, connectorType string, config any) string {
	t.Helper()
	id, err := client.CreateConnection(ctx, connectorType, config)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// greedy starts an ERP that consumes and deletes what appears.
func greedy(t *testing.T, dir string) *world.ERP {
	t.Helper()
	return start(t, &world.ERP{Dir: dir})
}

// patient starts an ERP that leaves in place what it has consumed.
func patient(t *testing.T, dir string) *world.ERP {
	t.Helper()
	return start(t, &world.ERP{Dir: dir, Keep: true})
}

func start(t *testing.T, erp *world.ERP) *world.ERP {
	t.Helper()
	erp.Start()
	t.Cleanup(func() {
		erp.Stop()
		if faults := erp.Faults(); len(faults) > 0 {
			t.Errorf("the ERP saw %v", faults)
		}
	})
	return erp
}

// eventually waits as long as it takes, within reason.
func eventually(ctx context.Context, t *testing.T, what string, try func() error) {
	t.Helper()
	if err := world.Eventually(ctx, aLong, try); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// awaitCounts waits until the exports of the client's organization have these
// states and no others.
func awaitCounts(ctx context.Context, t *testing.T, client *world.Client, want map[string]int) {
	t.Helper()
	eventually(ctx, t, "exports by status", func() error {
		counts, err := client.CountByStatus(ctx)
		if err == nil && fmt.Sprint(counts) != fmt.Sprint(want) {
			err = fmt.Errorf("have %v, want %v", counts, want)
		}
		return err
	})
}

// consumedOnce checks that the ERP got each of the orders once, and no other.
func consumedOnce(t *testing.T, erp *world.ERP, ids []string) {
	t.Helper()
	// SENT is when the file is there; the ERP takes it in its own time.
	_ = world.Eventually(context.Background(), aLong, func() error {
		if n := len(erp.Consumed()); n < len(ids) {
			return fmt.Errorf("%d of %d orders are consumed", n, len(ids))
		}
		return nil
	}) // what is missing is told one by one below
	consumed := erp.Consumed()
	for _, id := range ids {
		if n := consumed[id]; n != 1 {
			t.Errorf("order %s was consumed %d times, want once", id, n)
		}
		delete(consumed, id)
	}
	if len(consumed) > 0 {
		t.Errorf("%d orders were consumed that nobody handed in: %v", len(consumed), consumed)
	}
}

// pushBatch hands in n orders and returns their ids.
func pushBatch(ctx context.Context, t *testing.T, client *world.Client, orders *world.Orders, n int) []string {
	t.Helper()
	ids, ndjson := orders.Batch(n)
	lines, err := client.PushBatch(ctx, bytes.NewReader(ndjson))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Export == nil {
			t.Fatalf("line %d: %s", l.Line, l.Error)
		}
	}
	if len(lines) != n {
		t.Fatalf("the batch answered %d lines, want %d", len(lines), n)
	}
	return ids
}

// noted returns an order with notes, as an instruction for package brittle.
func noted(orders *world.Orders, notes string) (id string, order json.RawMessage) {
	id, order = orders.Next()
	return id, bytes.Replace(order, []byte(`"notes":null`), fmt.Appendf(nil, `"notes":%q`, notes), 1)
}

// pushNoted hands in one order with notes and returns its export.
func pushNoted(ctx context.Context, t *testing.T, client *world.Client, orders *world.Orders, notes string) world.Export {
	t.Helper()
	_, order := noted(orders, notes)
	export, err := client.Push(ctx, order)
	if err != nil {
		t.Fatal(err)
	}
	return export
}

// awaitExport waits until an export has a status.
func awaitExport(ctx context.Context, t *testing.T, client *world.Client, id, status string) world.Export {
	t.Helper()
	var export world.Export
	eventually(ctx, t, "export "+id, func() error {
		var err error
		export, err = client.Export(ctx, id)
		if err == nil && export.Status != status {
			err = fmt.Errorf("it is %s (%+v), want %s", export.Status, export.Error, status)
		}
		return err
	})
	return export
}

// buildConnector compiles a connector into the plugin directory under a name,
// with a variable of its package main set, and has it trusted.
func buildConnector(ctx context.Context, t *testing.T, in *world.Installation, folder, name, variable string, extra ...string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-ldflags", "-s -w -X main." + variable, "-o", binary}, append(extra, ".")...)...)
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	place(t, binary, filepath.Join(in.PluginDir, name))
	if _, err := in.CLI(ctx, "connector", "trust", name); err != nil {
		t.Fatal(err)
	}
}

// place puts a file where another one may be, in one step.
func place(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", raw, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}
