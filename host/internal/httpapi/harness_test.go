package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/metrics"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/seal"
	"github.com/orderport/orderport/host/internal/store"
)

// onEachStore runs a test on SQLite, and on PostgreSQL where there is one.
func onEachStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	for name, open := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, open(t)))
		})
	}
}

// world is a served API with an organization and what its tests look at.
type world struct {
	t        *testing.T
	store    store.Store
	services *app.Services
	registry *fakeRegistry
	payloads payload.Store
	keyring  *seal.Keyring
	log      *logBuffer
	waker    *countingWaker
	url      string
	org      domain.Organization
	admin    string // token
	ready    []string
}

func newWorld(t *testing.T, s store.Store) *world {
	t.Helper()
	w := serve(t, s, seal.NewKeyring(seal.GenerateKey()))
	w.org, w.admin = w.newOrg("acme")
	return w
}

// newWorldOfBatches is a world with SQLite whose batches have other bounds.
func newWorldOfBatches(t *testing.T, bounds batchBounds) *world {
	t.Helper()
	w := serveWith(t, openSQLite(t), seal.NewKeyring(seal.GenerateKey()), bounds)
	w.org, w.admin = w.newOrg("acme")
	return w
}

// serve serves the API on s.
func serve(t *testing.T, s store.Store, keyring *seal.Keyring) *world {
	t.Helper()
	return serveWith(t, s, keyring, batchBounds{})
}

func serveWith(t *testing.T, s store.Store, keyring *seal.Keyring, bounds batchBounds) *world {
	t.Helper()
	payloads, err := payload.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, store: s, registry: newFakeRegistry(), payloads: payloads,
		keyring: keyring, log: &logBuffer{}, waker: &countingWaker{nudged: map[uuid.UUID]int{}},
	}
	w.services = app.New(app.Deps{Store: s, Registry: w.registry, Keyring: w.keyring, Payloads: payloads, Waker: w.waker, HostDeadAfter: 5 * time.Second})
	m := metrics.New(metrics.Options{Version: "test", CountExports: s.CountExports, Connectors: w.registry.Status})
	server := httptest.NewUnstartedServer(nil)
	server.Config = Serve(New(Config{
		Services: w.services, Ready: func(context.Context) []string { return w.ready },
		Metrics: m.Handler(), Observe: m.Call, Unavailable: s.Unavailable,
		Version: "test", TempDir: t.TempDir(), batches: bounds,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}), slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func operator(orgID uuid.UUID) app.Actor {
	return app.Actor{OrgID: orgID, Role: app.Operator, Name: "cli:test"}
}

func (w *world) newOrg(slug string) (domain.Organization, string) {
	w.t.Helper()
	org, err := w.services.Organizations.Create(w.t.Context(), operator(uuid.Nil), slug, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return org, w.token(org.ID, domain.Admin)
}

func (w *world) token(orgID uuid.UUID, role domain.Role) string {
	w.t.Helper()
	_, secret, err := w.services.Tokens.Create(w.t.Context(), operator(orgID), "test", role)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// answered is an answer of the API.
type answered struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call calls the API as the organization's admin. A string or []byte body is
// sent as it is, anything else as JSON.
func (w *world) call(method, path string, body any) *answered {
	w.t.Helper()
	return w.callAs(w.admin, method, path, body, nil)
}

func (w *world) callAs(token, method, path string, body any, header map[string]string) *answered {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	case io.Reader:
		reader = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	if !strings.HasPrefix(path, "/healthz") && !strings.HasPrefix(path, "/readyz") && !strings.HasPrefix(path, "/metrics") &&
		!strings.HasPrefix(path, "/docs") && !strings.HasPrefix(path, "/openapi") && !strings.HasPrefix(path, Base) {
		path = Base + path
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &answered{t: w.t, status: res.StatusCode, header: res.Header, body: raw}
	a.mustBeAsDocumented(method, req.URL.Path)
	return a
}

// want fails the test unless the answer has the status.
func (a *answered) want(status int) *answered {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; body: %s", a.status, status, a.body)
	}
	return a
}

// wantProblem fails the test unless the answer is a problem with the code, and
// its paths are those given, in any order.
func (a *answered) wantProblem(status int, code string, paths ...string) *answered {
	a.t.Helper()
	a.want(status)
	if got := a.header.Get("Content-Type"); got != problemType {
		a.t.Errorf("content type %q, want %q", got, problemType)
	}
	var p struct {
		Code, Detail string
		Status       int
		RequestID    string `json:"request_id"`
		Violations   []struct{ Path, Message string }
	}
	a.decode(&p)
	if p.Code != code || p.Status != status {
		a.t.Errorf("code %q with status %d, want %q with %d; body: %s", p.Code, p.Status, code, status, a.body)
	}
	if p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		a.t.Errorf("request_id %q, header has %q", p.RequestID, a.header.Get("X-Request-Id"))
	}
	if p.Detail == "" {
		a.t.Error("the problem has no detail")
	}
	got := map[string]bool{}
	for _, v := range p.Violations {
		got[v.Path] = true
		if v.Message == "" {
			a.t.Errorf("the violation of %s has no message", v.Path)
		}
	}
	for _, path := range paths {
		if !got[path] {
			a.t.Errorf("no violation of %q; body: %s", path, a.body)
		}
	}
	if len(paths) > 0 && len(got) != len(paths) {
		a.t.Errorf("%d violations, want %d; body: %s", len(got), len(paths), a.body)
	}
	return a
}

func (a *answered) decode(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("decode %s: %v", a.body, err)
	}
}

// field returns a text out of the answer.
func (a *answered) field(name string) string {
	a.t.Helper()
	var m map[string]any
	a.decode(&m)
	text, _ := m[name].(string)
	return text
}

// connect creates a connection and returns its id.
func (w *world) connect(token string) string {
	w.t.Helper()
	return w.callAs(token, "POST", "/connections", newConnectionBody(), nil).want(201).field("id")
}

const fakeType = "FAKE_V1"

func newConnectionBody() map[string]any {
	return map[string]any{"connector_type": fakeType, "config": map[string]any{"host": "erp.example", "password": "open sesame"}}
}

// order is a valid draft order with a new id.
func order() map[string]any { return orderWithID(uuid.NewString()) }

func orderWithID(id string) map[string]any {
	return map[string]any{
		"id": id, "status": "APPROVED", "approved_at": "2025-12-26T10:00:00Z", "currency": "EUR",
		"customer": map[string]any{"name": "Muster GmbH"}, "external_order_number": "PO-" + id[:8],
		"lines": []any{map[string]any{"line_no": 1, "internal_sku": "INT-1", "qty": "10.5", "uom": "M"}},
	}
}

// handIn hands in a new order and returns its export's id.
func (w *world) handIn(token string) string {
	w.t.Helper()
	return w.callAs(token, "POST", "/exports", map[string]any{"draft_order": order()}, nil).want(202).field("id")
}

// attempt runs one attempt of the only due export, with the outcome given.
func (w *world) attempt(connectionID string, finish store.Finish) domain.Export {
	w.t.Helper()
	host := uuid.New()
	if err := w.store.RegisterHost(w.t.Context(), domain.HostNode{ID: host, Name: "host-1", Version: "test"}); err != nil {
		w.t.Fatal(err)
	}
	claimed, err := w.store.Claim(w.t.Context(), store.ClaimRequest{
		HostID: host, ConnectionID: uuid.MustParse(connectionID), Limit: 1, Lease: 1e9 * 60,
	})
	if err != nil || len(claimed) != 1 {
		w.t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	finish.ExportID, finish.HostID, finish.Attempt = claimed[0].Export.ID, host, claimed[0].Export.AttemptCount
	errs, err := w.store.FinishAll(w.t.Context(), []store.Finish{finish})
	if err != nil || errs[0] != nil {
		w.t.Fatalf("finish: %v %v", err, errs)
	}
	return claimed[0].Export
}

// fakeRegistry offers FAKE_V1, which works, and SECOND_V1, which is the same.
// It checks what it is given against the schema that it advertises.
type fakeRegistry struct {
	schema *configschema.Schema

	mu    sync.Mutex
	tests []*connectorv1.TestConnectionRequest // guarded by mu
	gone  bool                                 // guarded by mu: no connector is there any more
}

const fakeSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object", "additionalProperties": false, "required": ["host", "password"],
  "properties": {
    "host": {"type": "string", "minLength": 1},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "password": {"type": "string", "minLength": 8, "writeOnly": true},
    "proxy": {"type": "object", "additionalProperties": false, "properties": {
      "url": {"type": "string"}, "token": {"type": "string", "writeOnly": true}}}
  }
}`

func newFakeRegistry() *fakeRegistry {
	schema, err := configschema.Compile([]byte(fakeSchema))
	if err != nil {
		panic(err)
	}
	return &fakeRegistry{schema: schema}
}

func (r *fakeRegistry) Get(name string) (connector.Port, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone, name != fakeType && name != "SECOND_V1" && name != "BROKEN_V1":
		return nil, &connector.UnknownTypeError{Type: name}
	case name == "BROKEN_V1":
		return nil, &connector.UnavailableError{Type: name, Reason: "it keeps crashing"}
	}
	return fakePort{r, name}, nil
}

func (r *fakeRegistry) Status() []connector.Status {
	return []connector.Status{
		{Type: "SECOND_V1", Name: "Second", Version: "1.0.0", State: connector.Ready},
		{Type: fakeType, Name: "Fake", Version: "1.2.3", State: connector.Ready, Binary: "/p/orderport-connector-fake"},
		{Type: "BROKEN_V1", Name: "Broken", State: connector.Quarantined, Reason: "it keeps crashing"},
		{Binary: "/p/orderport-connector-mute", State: connector.Quarantined, Reason: "no answer"},
	}
}

// fakePort answers for its registry. Only what the API uses is there: the rest
// would panic.
type fakePort struct {
	registry *fakeRegistry
	name     string
}

func (p fakePort) Describe() *connectorv1.DescribeResponse {
	return &connectorv1.DescribeResponse{
		ConnectorType: p.name, Name: "Fake", Version: "1.2.3", Vendor: "Tests", Summary: "Delivers nowhere",
		ConfigSchema: []byte(fakeSchema), ExportFormatVersions: []string{domain.FormatVersion},
		Capabilities: []connectorv1.Capability{connectorv1.Capability_CAPABILITY_ACKS, connectorv1.Capability_CAPABILITY_RESUME},
	}
}

// TestConnection fails for hosts named down.example, and like a bad connector
// it then prints the config.
func (p fakePort) TestConnection(_ context.Context, req *connectorv1.TestConnectionRequest) (*connectorv1.TestConnectionResponse, error) {
	if violations := p.registry.schema.Validate(req.GetConnection().GetConfig()); len(violations) > 0 {
		return nil, fmt.Errorf("the host passed on a config that is not valid: %v", violations)
	}
	p.registry.mu.Lock()
	p.registry.tests = append(p.registry.tests, req)
	p.registry.mu.Unlock()
	config := string(req.GetConnection().GetConfig())
	switch {
	case strings.Contains(config, "down.example"):
		return &connectorv1.TestConnectionResponse{
			ErrorMessage: "no answer with " + config, LatencyMs: 12,
			Error: &connectorv1.Error{Code: connectorv1.ErrorCode_ERROR_CODE_UNREACHABLE, Message: config},
			Steps: []*connectorv1.TestStep{{Name: "connect", Message: "dial with " + config, LatencyMs: 12}},
		}, nil
	case strings.Contains(config, "crash.example"):
		return nil, &connector.CrashError{Type: p.name, Reason: "exit status 2: panic with " + config}
	}
	return &connectorv1.TestConnectionResponse{
		Success: true, LatencyMs: 7, Steps: []*connectorv1.TestStep{{Name: "connect", Success: true, Message: "fine", LatencyMs: 7}},
	}, nil
}

func (p fakePort) Export(context.Context, *connectorv1.ExportStart, connector.Sink) (*connectorv1.ExportResult, error) {
	panic("the API exports nothing itself")
}

func (p fakePort) FetchAcks(context.Context, *connectorv1.FetchAcksRequest, func(*connectorv1.FetchAcksResponse) error) error {
	panic("the API fetches no acks")
}

func (p fakePort) SettleAcks(context.Context, *connectorv1.SettleAcksRequest) (*connectorv1.SettleAcksResponse, error) {
	panic("the API settles no acks")
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
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

type countingWaker struct {
	mu     sync.Mutex
	nudged map[uuid.UUID]int // guarded by mu
}

func (c *countingWaker) Nudge(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nudged[id]++
}

func (c *countingWaker) count(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nudged[uuid.MustParse(id)]
}

// failingStore fails the first calls of Accept: before they are applied, or,
// with apply, after it.
type failingStore struct {
	store.Store
	fail  int
	apply bool

	mu    sync.Mutex
	count int // guarded by mu
}

func (f *failingStore) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *failingStore) Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	f.mu.Lock()
	f.count++
	failing := f.count <= f.fail
	f.mu.Unlock()
	if failing && !f.apply {
		return nil, errors.New("the disk is full")
	}
	accepted, err := f.Store.Accept(ctx, batch)
	if failing && err == nil {
		return nil, errors.New("the connection broke")
	}
	return accepted, err
}

// newWorldOn is another host on w's database, behind s, with w's organization.
func newWorldOn(t *testing.T, w *world, s store.Store) *world {
	t.Helper()
	other := serve(t, s, w.keyring)
	other.org, other.admin = w.org, w.admin
	return other
}

// awayStore is a database that does not answer.
type awayStore struct{ store.Store }

var errAway = errors.New("dial tcp 192.0.2.1:5432: connection refused")

func (awayStore) TokenByHash(context.Context, [32]byte) (domain.Token, error) {
	return domain.Token{}, fmt.Errorf("find token: %w", errAway)
}

func (awayStore) Unavailable(err error) bool { return errors.Is(err, errAway) }
