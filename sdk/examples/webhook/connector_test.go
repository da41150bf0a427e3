package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

// receiver keeps one body for each Idempotency-Key, as a good receiver does.
type receiver struct {
	mu     sync.Mutex
	bodies map[string]string
	posts  int
	status int // 0: OK
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("Authorization") != "Bearer s3cret-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	if req.Method == http.MethodPost {
		r.posts++
		r.bodies[req.Header.Get("Idempotency-Key")] = string(body)
	}
}

func serveReceiver(t *testing.T) (*receiver, string) {
	r := &receiver{bodies: make(map[string]string)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, `{"url":"` + server.URL + `","token":"s3cret-token"}`
}

func TestExportPostsTheStoredBytesOnce(t *testing.T) {
	t.Parallel()
	receiver, config := serveReceiver(t)
	export := sdktest.New(t, connector{}).NewExport(config, sdktest.SampleOrder())

	export.OnPayload = func(int) sdktest.Fault { return sdktest.CutAfter }
	if _, err := export.Run(context.Background()); err == nil {
		t.Fatal("an attempt whose host has gone must not have a result")
	}
	export.OnPayload = nil
	for range 2 { // the second one stands for a host that lost the result
		result, err := export.Run(context.Background())
		if err != nil || !result.GetSuccess() {
			t.Fatalf("export: %v, %v", result, err)
		}
		if result.GetStorageKey() != sdktest.StorageKey("order_"+export.ID+".json") {
			t.Errorf("storage key %q", result.GetStorageKey())
		}
	}
	if len(receiver.bodies) != 1 || receiver.posts != 2 {
		t.Errorf("%d orders from %d posts, want 1 from 2", len(receiver.bodies), receiver.posts)
	}
	if got := receiver.bodies[export.ID]; got != string(export.Payload.Data) {
		t.Errorf("delivered %s, stored %s", got, export.Payload.Data)
	}
}

func TestAnswersOfTheReceiverBecomeCodes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]port.Code{
		403: port.PermissionDenied, 404: port.NotFound, 422: port.RejectedByERP,
		429: port.Throttled, 500: port.Unreachable, 503: port.Throttled,
	} {
		receiver, config := serveReceiver(t)
		receiver.status = status
		host := sdktest.New(t, connector{})
		result, err := host.NewExport(config, sdktest.SampleOrder()).Run(context.Background())
		if err != nil || port.CodeOf(result.GetError().GetCode()) != want {
			t.Errorf("status %d: got %v, %v; want %s", status, result, err, want)
		}
	}
}

func TestTestConnectionTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	receiver, good := serveReceiver(t)
	for name, c := range map[string]struct {
		config string
		want   port.Code // empty: success
	}{
		"a good config works":       {good, ""},
		"a wrong token is told":     {good[:len(good)-4] + `x"}`, port.AuthenticationFailed},
		"a missing url is told":     {`{}`, port.InvalidConfig},
		"nobody at the url is told": {`{"url":"http://127.0.0.1:1/"}`, port.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := sdktest.New(t, connector{}).TestConnection(context.Background(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			if response.GetSuccess() != (c.want == "") {
				t.Errorf("got %v", response)
			}
			if c.want != "" && port.CodeOf(response.GetError().GetCode()) != c.want {
				t.Errorf("code %v, want %s", response.GetError(), c.want)
			}
		})
	}
	if receiver.posts != 0 {
		t.Error("a test must not post")
	}
}
