package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/api/openapi.json")

// TestTheOpenAPIDocumentIsTheCommittedOne keeps the copy that people read
// equal to what the code serves.
func TestTheOpenAPIDocumentIsTheCommittedOne(t *testing.T) {
	t.Parallel()
	api := registerAPI(http.NewServeMux(), Config{Version: "0.0.0"})
	raw, err := json.MarshalIndent(api.OpenAPI(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, '\n')
	path := filepath.Join("..", "..", "..", "docs", "api", "openapi.json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), string(raw)); diff != "" {
		t.Errorf("docs/api/openapi.json is not what the code says; run `go test ./internal/httpapi -update`:\n%s", diff)
	}
}

func TestTheDocumentIsServedAndWhole(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		var doc struct {
			OpenAPI    string
			Paths      map[string]map[string]struct{ Responses map[string]any }
			Components struct{ Schemas map[string]any }
		}
		a := w.callAs("", "GET", "/openapi.json", nil, nil).want(200)
		a.decode(&doc)
		if !strings.HasPrefix(doc.OpenAPI, "3.1") {
			t.Errorf("version %s", doc.OpenAPI)
		}
		for _, want := range []string{
			"get /connector-types", "get /connector-types/{type}", "post /connections", "get /connections", "get /connections/{id}",
			"put /connections/{id}/config", "post /connections/{id}/test", "post /connections/{id}/enable", "post /connections/{id}/disable",
			"post /exports", "post /exports:batch", "get /exports", "get /exports/{id}", "get /exports/{id}/payload",
			"post /exports/{id}/retry", "post /exports/{id}/resolve", "get /audit",
		} {
			method, path, _ := strings.Cut(want, " ")
			op, ok := doc.Paths[Base+path][method]
			if !ok {
				t.Errorf("no %s", want)
				continue
			}
			if op.Responses["401"] == nil || op.Responses["403"] == nil {
				t.Errorf("%s does not document 401 and 403", want)
			}
		}
		for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllSubmatch(a.body, -1) {
			if doc.Components.Schemas[string(ref[1])] == nil {
				t.Errorf("the schema %s is missing", ref[1])
			}
		}
	})
}

func TestTheDocsPageRunsNobodyElsesCode(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		for path, mime := range map[string]string{"/docs": "text/html", "/docs/page.js": "text/javascript", "/docs/page.css": "text/css"} {
			a := w.callAs("", "GET", path, nil, nil).want(200)
			if !strings.HasPrefix(a.header.Get("Content-Type"), mime) {
				t.Errorf("%s: %s", path, a.header.Get("Content-Type"))
			}
			policy := a.header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
				t.Errorf("%s: policy %s", path, policy)
			}
			if strings.Contains(string(a.body), "//cdn") || bytes.Contains(a.body, []byte("https://")) || bytes.Contains(a.body, []byte("innerHTML")) {
				t.Errorf("%s names something foreign or builds markup out of text", path)
			}
		}
	})
}

func TestHealthReadinessAndMetricsNeedNoToken(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.callAs("", "GET", "/healthz", nil, nil).want(200)
		if got := w.callAs("", "GET", "/readyz", nil, nil).want(200).field("status"); got != "ok" {
			t.Errorf("ready: %s", got)
		}
		w.ready = []string{"connector FAKE_V1 is starting"}
		a := w.callAs("", "GET", "/readyz", nil, nil).want(503)
		if !strings.Contains(string(a.body), "connector FAKE_V1 is starting") {
			t.Errorf("it does not say why: %s", a.body)
		}
		w.callAs("", "GET", "/healthz", nil, nil).want(200)
		w.connect(w.admin)
		w.handIn(w.admin)
		w.callAs("", "GET", "/nonsense/"+strings.Repeat("x", 50), nil, nil)
		w.callAs("", "BREW", "/exports", nil, nil)
		text := string(w.callAs("", "GET", "/metrics", nil, nil).want(200).body)
		for _, want := range []string{
			`orderport_http_requests_total{method="POST",route="/api/v1/exports",status="202"} 1`,
			`orderport_http_requests_total{method="GET",route="other",status="404"} 1`,
			`orderport_http_requests_total{method="other",route="other",status="405"} 1`,
			`orderport_exports{status="PENDING"} 1`, `orderport_exports{status="ACKED"} 0`,
			`orderport_connector_ready{connector_type="FAKE_V1"} 1`, `orderport_connector_ready{connector_type="BROKEN_V1"} 0`,
			`orderport_build_info{version="test"} 1`, "go_goroutines", "process_open_fds",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
		for _, id := range []string{w.org.ID.String(), "xxxxx"} {
			if strings.Contains(text, id) {
				t.Errorf("%s is a label", id)
			}
		}
	})
}

func TestWhatIsNotThereIsAProblemToo(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.call("GET", "/nothing", nil).wantProblem(404, "no_such_path")
		w.call("GET", "/connector-types/NOPE", nil).wantProblem(404, "unknown_connector_type")
		a := w.call("DELETE", "/exports", nil).wantProblem(405, "method_not_allowed")
		if allow := a.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
			t.Errorf("Allow: %s", allow)
		}
	})
}

func TestARequestHasAnID(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		header := func(id string) string {
			return w.callAs(w.admin, "GET", "/exports", nil, map[string]string{"X-Request-Id": id}).header.Get("X-Request-Id")
		}
		if got := header("my-id.1"); got != "my-id.1" {
			t.Errorf("the client's id became %q", got)
		}
		for _, bad := range []string{"", "a b", `a"b`, strings.Repeat("a", 65), "ä"} {
			if got := header(bad); got == bad || len(got) != 24 {
				t.Errorf("%q became %q", bad, got)
			}
		}
		if !strings.Contains(w.log.String(), "request_id=my-id.1") {
			t.Error("the log does not name the call")
		}
	})
}

func TestConnectorTypesAreShown(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		var list struct{ Items []map[string]any }
		w.call("GET", "/connector-types", nil).want(200).decode(&list)
		var names []string
		for _, item := range list.Items {
			names = append(names, fmt.Sprint(item["connector_type"], " ", item["state"], " ", item["reason"]))
		}
		want := []string{"BROKEN_V1 quarantined it keeps crashing", "FAKE_V1 ready <nil>", "SECOND_V1 ready <nil>"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		var one map[string]any
		w.call("GET", "/connector-types/"+fakeType, nil).want(200).decode(&one)
		schema, _ := one["config_schema"].(map[string]any)
		if schema["additionalProperties"] != false || one["vendor"] != "Tests" || one["version"] != "1.2.3" {
			t.Errorf("type %v", one)
		}
		if diff := cmp.Diff([]any{"acks", "resume"}, one["capabilities"]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPanicIsA500AndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 10_000))
		panic("too late")
	})
	s := &server{Config: Config{Log: slog.New(slog.NewTextHandler(log, nil))}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := Serve(s.middleware(mux), slog.New(slog.DiscardHandler))
	go func() { _ = served.Serve(listener) }()
	t.Cleanup(func() { _ = served.Close() })
	w := &world{t: t, url: "http://" + listener.Addr().String()}
	for range 2 {
		a := w.getBare("/panics").wantProblem(500, "internal")
		if strings.Contains(string(a.body), "secret detail") {
			t.Errorf("the answer tells what happened inside: %s", a.body)
		}
	}
	if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "server_test.go") {
		t.Error("the log does not say what happened and where")
	}
	if res, err := http.Get(w.url + "/late"); err == nil {
		_ = res.Body.Close()
		if _, err := bufio.NewReader(res.Body).ReadString(0); err == nil {
			t.Error("an answer that a panic cut off looks whole")
		}
	}
}

func (w *world) getBare(path string) *answered {
	w.t.Helper()
	res, err := http.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		w.t.Fatal(err)
	}
	return &answered{t: w.t, status: res.StatusCode, header: res.Header, body: body.Bytes()}
}

func TestASlowClientCantHoldTheServer(t *testing.T) {
	t.Parallel()
	s := Serve(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a bound is missing: %+v", s)
	}
}

func TestADatabaseThatIsAwayIsNoFaultOfTheHost(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		away := newWorldOn(t, w, awayStore{w.store})
		away.call("GET", "/exports", nil).wantProblem(503, "database_unavailable")
		if !strings.Contains(away.log.String(), "connection refused") {
			t.Error("the log does not say why")
		}
	})
}
