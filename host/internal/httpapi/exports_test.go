package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

func TestHandingInAnOrder(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		draft := order()
		first := w.call("POST", "/exports", map[string]any{"draft_order": draft}).want(202)
		var export map[string]any
		first.decode(&export)
		for _, name := range []string{
			"id", "org_id", "connection_id", "connector_type", "draft_order_id", "external_order_number", "status",
			"export_format_version", "storage_key", "dropzone_path", "external_ref", "erp_order_id", "error",
			"next_attempt_at", "attempt_count", "created_at", "updated_at",
		} {
			if _, ok := export[name]; !ok {
				t.Errorf("the export has no field %s", name)
			}
		}
		if export["status"] != "PENDING" || export["connection_id"] != conn || export["draft_order_id"] != draft["id"] ||
			export["export_format_version"] != "orderflow_export_json_v1" || export["storage_key"] != nil {
			t.Errorf("unexpected: %s", first.body)
		}
		if id := uuid.MustParse(export["id"].(string)); id.Version() != 4 {
			t.Errorf("the id %s is not random", id)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", export["created_at"].(string)); err != nil {
			t.Errorf("created_at: %v", err)
		}
		if w.waker.count(conn) < 2 {
			t.Error("the engine was not told")
		}
		again := w.call("POST", "/exports", map[string]any{"draft_order": draft}).want(200)
		if again.field("id") != first.field("id") {
			t.Errorf("handed in again: %s and %s", first.field("id"), again.field("id"))
		}
		draft["currency"] = "USD"
		w.call("POST", "/exports", map[string]any{"draft_order": draft}).wantProblem(409, "order_differs")
	})
}

func TestTheSameOrderWithNumbersOrTextsIsTheSame(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		draft := order()
		line := draft["lines"].([]any)[0].(map[string]any)
		line["qty"] = json.RawMessage(`12345678901234.125`)
		first := w.call("POST", "/exports", map[string]any{"draft_order": draft}).want(202)
		line["qty"] = "12345678901234.125"
		if got := w.call("POST", "/exports", map[string]any{"draft_order": draft}).want(200).field("id"); got != first.field("id") {
			t.Errorf("another export: %s", got)
		}
		line["qty"] = "12345678901234.126"
		w.call("POST", "/exports", map[string]any{"draft_order": draft}).wantProblem(409, "order_differs")
	})
}

func TestAnIdempotencyKeyNamesOneHandIn(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		key := map[string]string{"Idempotency-Key": "key-1"}
		draft := map[string]any{"draft_order": order()}
		first := w.callAs(w.admin, "POST", "/exports", draft, key).want(202)
		if again := w.callAs(w.admin, "POST", "/exports", draft, key).want(200); again.field("id") != first.field("id") {
			t.Error("another export")
		}
		w.callAs(w.admin, "POST", "/exports", map[string]any{"draft_order": order()}, key).wantProblem(409, "idempotency_key_reused")
		_, foreign := w.newOrg("globex")
		w.connect(foreign)
		w.callAs(foreign, "POST", "/exports", map[string]any{"draft_order": order()}, key).want(202)
		w.callAs(w.admin, "POST", "/exports", map[string]any{"draft_order": order()}, map[string]string{"Idempotency-Key": strings.Repeat("k", 256)}).
			wantProblem(422, "invalid_request", "Idempotency-Key")
		w.callAs(w.admin, "POST", "/exports", map[string]any{"draft_order": order()}, map[string]string{"Idempotency-Key": "schlüssel"}).
			wantProblem(422, "invalid_request", "Idempotency-Key")
	})
}

func TestOrdersThatAreRefused(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		broken := order()
		broken["status"], broken["currency"], broken["color"] = "DRAFT", "euro", 1
		broken["lines"] = []any{
			map[string]any{"line_no": 1, "internal_sku": "a", "qty": "0", "uom": "M"},
			map[string]any{"line_no": 1, "internal_sku": "", "qty": "1.0001", "uom": "M", "unit_price": "1.23456"},
		}
		for name, c := range map[string]struct {
			body   any
			status int
			code   string
			paths  []string
		}{
			"every wrong field at once": {map[string]any{"draft_order": broken}, 422, "invalid_order", []string{
				"draft_order.status", "draft_order.currency", "draft_order.color", "draft_order.lines[0].qty", "draft_order.lines[1].line_no",
				"draft_order.lines[1].internal_sku", "draft_order.lines[1].qty", "draft_order.lines[1].unit_price",
			}},
			"no order":                  {map[string]any{}, 422, "invalid_request", []string{"draft_order"}},
			"an order of null":          {map[string]any{"draft_order": nil, "connector_type": 1}, 422, "invalid_request", []string{"draft_order", "connector_type"}},
			"the bare order":            {map[string]any{"id": "x", "status": "APPROVED"}, 422, "invalid_request", []string{"id", "status"}},
			"a line break":              {map[string]any{"draft_order": withNumber("PO\n1")}, 422, "invalid_order", []string{"draft_order.external_order_number"}},
			"a zero character":          {map[string]any{"draft_order": withNumber("PO\x001")}, 422, "invalid_order", []string{"draft_order.external_order_number"}},
			"text, not JSON":            {"hello", 400, "malformed_request", nil},
			"broken JSON":               {`{"draft_order": {"id": }}`, 400, "malformed_request", nil},
			"a type without connection": {map[string]any{"draft_order": order(), "connector_type": "SECOND_V1"}, 422, "no_active_connection", nil},
			"two orders in one body":    {`{"draft_order": {"id": 1}, "draft_order": {"id": 2}}`, 422, "invalid_request", []string{"draft_order"}},
			"a body over the limit":     {strings.Repeat(" ", MaxBody+1), 413, "too_large", nil},
		} {
			t.Run(name, func(t *testing.T) {
				w := *w
				w.t = t
				a := w.call("POST", "/exports", c.body).wantProblem(c.status, c.code, c.paths...)
				if c.status == 413 && !strings.Contains(a.field("detail"), "16777216") {
					t.Errorf("the limit is not named: %s", a.body)
				}
			})
		}
		var list struct{ Items []any }
		w.call("GET", "/exports", nil).want(200).decode(&list)
		if len(list.Items) != 0 {
			t.Errorf("%d refused orders were accepted", len(list.Items))
		}
	})
}

func withNumber(number string) map[string]any {
	o := order()
	o["external_order_number"] = number
	return o
}

func TestACompressedBodyIsRefusedByName(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		for _, path := range []string{"/exports", "/exports:batch"} {
			a := w.callAs(w.admin, "POST", path, "\x1f\x8b", map[string]string{"Content-Encoding": "gzip"}).wantProblem(415, "encoded_body")
			if !strings.Contains(a.field("detail"), "gzip") {
				t.Errorf("%s: %s", path, a.body)
			}
		}
		w.connect(w.admin)
		w.callAs(w.admin, "POST", "/exports", map[string]any{"draft_order": order()}, map[string]string{"Content-Encoding": "identity"}).want(202)
	})
}

func TestABodyWithoutLengthIsBoundedToo(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		// A reader of unknown length makes the client send chunks.
		endless := struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", MaxBody+1))}
		w.call("POST", "/exports", &chunked{endless.Reader}).wantProblem(413, "too_large")
	})
}

// TestAClientThatReadsLateLearnsThatItsBodyIsTooLarge: many send all of it
// before they look for an answer.
func TestAClientThatReadsLateLearnsThatItsBodyIsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorldOfBatches(t, batchBounds{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const size = 3 * MaxBody
	head := fmt.Sprintf("POST /api/v1/exports HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		w.admin, size)
	if _, err := io.WriteString(conn, head+strings.Repeat(" ", size)); err != nil {
		t.Fatalf("the connection was closed while the body was on its way: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", res.StatusCode)
	}
}

type chunked struct{ r *strings.Reader }

func (c *chunked) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestOrdersNeedAConnection(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		body := map[string]any{"draft_order": order()}
		w.call("POST", "/exports", body).wantProblem(422, "no_active_connection")
		conn := w.connect(w.admin)
		first := w.call("POST", "/exports", body).want(202).field("id")
		second := newConnectionBody()
		second["connector_type"] = "SECOND_V1"
		w.call("POST", "/connections", second).want(201)
		w.call("POST", "/exports", map[string]any{"draft_order": order()}).wantProblem(422, "connector_type_required", "connector_type")
		if got := w.call("POST", "/exports", body).want(200).field("id"); got != first {
			t.Errorf("a repeated call with an unclear connection: %s", got)
		}
		w.call("POST", "/exports", map[string]any{"draft_order": order(), "connector_type": fakeType}).want(202)
		body["connector_type"] = "SECOND_V1"
		w.call("POST", "/exports", body).wantProblem(409, "delivered_elsewhere")
		delete(body, "connector_type")

		w.call("POST", "/connections/"+conn+"/disable", nil).want(200)
		w.call("POST", "/exports", map[string]any{"draft_order": order(), "connector_type": fakeType}).wantProblem(422, "no_active_connection")
		body["connector_type"] = fakeType
		if got := w.call("POST", "/exports", body).want(200).field("id"); got != first {
			t.Errorf("a repeated call after the connection was disabled: %s", got)
		}
		body["draft_order"].(map[string]any)["currency"] = "USD"
		w.call("POST", "/exports", body).wantProblem(409, "order_differs")
	})
}

func TestConcurrentHandInsShareCommits(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		const callers, each = 16, 10
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[string]bool{}
		same := map[string]any{"draft_order": order()}
		for range callers {
			wg.Go(func() {
				for range each {
					id := w.callAs(w.admin, "POST", "/exports", map[string]any{"draft_order": order()}, nil)
					if id.status != 202 {
						t.Errorf("status %d: %s", id.status, id.body)
						return
					}
					mu.Lock()
					ids[id.field("id")] = true
					mu.Unlock()
				}
				if a := w.callAs(w.admin, "POST", "/exports", same, nil); a.status != 202 && a.status != 200 {
					t.Errorf("the same order by all: %d %s", a.status, a.body)
				}
			})
		}
		wg.Wait()
		if len(ids) != callers*each {
			t.Errorf("%d exports of %d orders", len(ids), callers*each)
		}
		counts, err := w.store.CountExports(t.Context())
		if err != nil || counts[domain.Pending] != callers*each+1 {
			t.Errorf("%v exports, want %d: %v", counts, callers*each+1, err)
		}
	})
}

func TestListingExports(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		var ids []string
		for range 7 {
			ids = append([]string{w.handIn(w.admin)}, ids...)
		}
		type page struct {
			Items []struct {
				ID           string
				Status       string
				DraftOrderID string `json:"draft_order_id"`
				CreatedAt    string `json:"created_at"`
			}
			NextCursor *string `json:"next_cursor"`
		}
		var got []string
		path := "/exports?limit=3"
		pages := 0
		for path != "" {
			var p page
			w.call("GET", path, nil).want(200).decode(&p)
			for _, item := range p.Items {
				got = append(got, item.ID)
			}
			path = ""
			if p.NextCursor != nil {
				path = "/exports?limit=3&cursor=" + url.QueryEscape(*p.NextCursor)
			}
			pages++
		}
		if diff := cmp.Diff(ids, got); diff != "" || pages != 3 {
			t.Errorf("%d pages, from new to old:\n%s", pages, diff)
		}
		var all page
		w.call("GET", "/exports", nil).want(200).decode(&all)
		failed := w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeFailed, Status: domain.Failed, Error: &domain.ExportError{Code: "REJECTED_BY_ERP", Message: "no"},
		})
		for query, want := range map[string]int{
			"status=FAILED":  1,
			"status=PENDING": 6,
			"status=ACKED":   0,
			"draft_order_id=" + all.Items[2].DraftOrderID:                  1,
			"draft_order_id=" + uuid.NewString():                           0,
			"connection_id=" + conn:                                        7,
			"connection_id=" + uuid.NewString():                            0,
			"since=" + url.QueryEscape(all.Items[1].CreatedAt):             2,
			"since=2999-01-01T00:00:00Z":                                   0,
			"status=FAILED&connection_id=" + conn:                          1,
			"status=FAILED&draft_order_id=" + failed.DraftOrderID.String(): 1,
		} {
			var p page
			w.call("GET", "/exports?"+query, nil).want(200).decode(&p)
			if len(p.Items) != want {
				t.Errorf("%s: %d exports, want %d", query, len(p.Items), want)
			}
			if p.Items == nil {
				t.Errorf("%s: items is null", query)
			}
		}
		for query, path := range map[string]string{
			"limit=0": "limit", "limit=501": "limit", "limit=x": "limit", "status=SOON": "status", "draft_order_id=1": "draft_order_id",
			"connection_id=1": "connection_id", "since=yesterday": "since", "stauts=FAILED": "stauts",
		} {
			w.call("GET", "/exports?"+query, nil).wantProblem(422, "invalid_request", path)
		}
		w.call("GET", "/exports?cursor=nonsense", nil).wantProblem(400, "bad_cursor", "cursor")
		w.call("GET", "/audit?cursor=nonsense", nil).wantProblem(400, "bad_cursor", "cursor")
	})
}

func TestAnExportIsShownWithItsAttempts(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		id := w.handIn(w.admin)
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeRetry, Status: domain.Pending, CountsFailure: true,
			Error: &domain.ExportError{Code: "UNREACHABLE", Message: "no answer", Retryable: true, Details: map[string]string{"host": "erp"}},
		})
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeDelivered, Status: domain.Acked, DropzonePath: "/in/a.json", ExternalRef: "a.json", ERPOrderID: "SO-1",
		})
		var got struct {
			Status       string
			AttemptCount int    `json:"attempt_count"`
			DropzonePath string `json:"dropzone_path"`
			ExternalRef  string `json:"external_ref"`
			ERPOrderID   string `json:"erp_order_id"`
			Error        any
			Attempts     []map[string]any
		}
		a := w.call("GET", "/exports/"+id, nil).want(200)
		a.decode(&got)
		if got.Status != "ACKED" || got.AttemptCount != 2 || got.DropzonePath != "/in/a.json" || got.ExternalRef != "a.json" || got.ERPOrderID != "SO-1" {
			t.Errorf("export: %s", a.body)
		}
		if len(got.Attempts) != 2 {
			t.Fatalf("%d attempts: %s", len(got.Attempts), a.body)
		}
		one, two := got.Attempts[0], got.Attempts[1]
		for _, name := range []string{"number", "host", "started_at", "finished_at", "outcome", "error", "recovered"} {
			if _, ok := one[name]; !ok {
				t.Errorf("the attempt has no field %s", name)
			}
		}
		want := map[string]any{"code": "UNREACHABLE", "message": "no answer", "retryable": true, "details": map[string]any{"host": "erp"}}
		if diff := cmp.Diff(want, one["error"]); diff != "" || one["number"] != 1.0 || one["host"] != "host-1" || one["outcome"] != "RETRY" {
			t.Errorf("first attempt %v:\n%s", one, diff)
		}
		if two["number"] != 2.0 || two["outcome"] != "DELIVERED" || two["error"] != nil {
			t.Errorf("second attempt %v", two)
		}
		w.call("GET", "/exports/"+uuid.NewString(), nil).wantProblem(404, "export_not_found")
		w.call("GET", "/exports/nonsense", nil).wantProblem(404, "export_not_found")
	})
}

func TestRetryingAndResolving(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		id := w.handIn(w.admin)
		w.call("POST", "/exports/"+id+"/retry", nil).wantProblem(409, "not_failed")
		w.call("POST", "/exports/"+id+"/resolve", map[string]any{"outcome": "sent"}).wantProblem(409, "not_unknown")
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeFailed, Status: domain.Failed, Error: &domain.ExportError{Code: "REJECTED_BY_ERP", Message: "no"},
		})
		retried := w.call("POST", "/exports/"+id+"/retry", nil).want(202)
		if retried.field("id") == id || retried.field("retry_of") != id || retried.field("status") != "PENDING" {
			t.Errorf("retried: %s", retried.body)
		}
		w.call("POST", "/exports/"+id+"/retry", nil).wantProblem(409, "export_live")

		second := retried.field("id")
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeLost, Status: domain.Failed, Error: &domain.ExportError{Code: "OUTCOME_UNKNOWN", Message: "who knows"},
		})
		w.call("POST", "/exports/"+second+"/retry", nil).wantProblem(409, "outcome_unknown")
		for body, path := range map[string]string{`{"outcome":"maybe"}`: "outcome", `{}`: "outcome", `{"outcome":1}`: "outcome", `{"outcome":"sent","x":1}`: "x"} {
			w.call("POST", "/exports/"+second+"/resolve", body).wantProblem(422, "invalid_request", path)
		}
		w.call("POST", "/exports/"+second+"/resolve", "sent").wantProblem(400, "malformed_request")
		resolved := w.call("POST", "/exports/"+second+"/resolve", map[string]any{"outcome": "failed"}).want(200)
		if resolved.field("status") != "FAILED" || !strings.Contains(string(resolved.body), "REJECTED_BY_ERP") {
			t.Errorf("resolved as failed: %s", resolved.body)
		}
		third := w.call("POST", "/exports/"+second+"/retry", nil).want(202).field("id")
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeLost, Status: domain.Failed, Error: &domain.ExportError{Code: "OUTCOME_UNKNOWN", Message: "who knows"},
		})
		if got := w.call("POST", "/exports/"+third+"/resolve", map[string]any{"outcome": "sent"}).want(200).field("status"); got != "SENT" {
			t.Errorf("resolved as sent: %s", got)
		}
		var audit struct {
			Items []struct{ Action, Subject, Actor string }
		}
		w.call("GET", "/audit", nil).want(200).decode(&audit)
		var actions []string
		for _, entry := range audit.Items {
			if strings.HasPrefix(entry.Action, "export.") {
				actions = append(actions, entry.Action)
				if !strings.HasPrefix(entry.Actor, "token:") {
					t.Errorf("actor %s", entry.Actor)
				}
			}
		}
		slices.Sort(actions)
		if diff := cmp.Diff([]string{"export.resolve", "export.resolve", "export.retry", "export.retry"}, actions); diff != "" {
			t.Errorf("audit:\n%s", diff)
		}
		w.call("POST", "/connections/"+conn+"/disable", nil).want(200)
	})
}

func TestARetryNeedsAConnection(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		id := w.handIn(w.admin)
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeFailed, Status: domain.Failed, Error: &domain.ExportError{Code: "REJECTED_BY_ERP", Message: "no"},
		})
		w.call("POST", "/connections/"+conn+"/disable", nil).want(200)
		w.call("POST", "/exports/"+id+"/retry", nil).wantProblem(422, "no_active_connection")
		other := w.connect(w.admin)
		if got := w.call("POST", "/exports/"+id+"/retry", nil).want(202).field("connection_id"); got != other {
			t.Errorf("retried over %s, want the active connection %s", got, other)
		}
	})
}

func TestAPayloadIsTheExactBytes(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		conn := w.connect(w.admin)
		id := w.handIn(w.admin)
		w.call("GET", "/exports/"+id+"/payload", nil).wantProblem(404, "no_payload")
		data := []byte("{\"qty\": 10.50}\r\n\x00\xff")
		key := fmt.Sprintf("exports/%s/order.json", w.org.ID)
		object, err := w.payloads.Put(context.Background(), key, data)
		if err != nil {
			t.Fatal(err)
		}
		w.attempt(conn, store.Finish{
			Outcome: domain.OutcomeDelivered, Status: domain.Sent, StorageKey: key, PayloadSize: object.Size, PayloadSHA256: object.SHA256[:],
		})
		a := w.call("GET", "/exports/"+id+"/payload", nil).want(200)
		if string(a.body) != string(data) {
			t.Errorf("got %q, want %q", a.body, data)
		}
		etag := a.header.Get("ETag")
		if want := fmt.Sprintf("%q", fmt.Sprintf("%x", object.SHA256)); etag != want {
			t.Errorf("ETag %s, want %s", etag, want)
		}
		if got := a.header.Get("Content-Disposition"); got != `attachment; filename="order.json"` {
			t.Errorf("Content-Disposition %s", got)
		}
		same := w.callAs(w.admin, http.MethodGet, "/exports/"+id+"/payload", nil, map[string]string{"If-None-Match": etag}).want(304)
		if len(same.body) != 0 {
			t.Error("304 has a body")
		}
		if _, err := w.payloads.Put(context.Background(), key, []byte("tampered")); err != nil {
			t.Fatal(err)
		}
		w.call("GET", "/exports/"+id+"/payload", nil).wantProblem(503, "payload_differs")
	})
}
