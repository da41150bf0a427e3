package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest"
)

// erp is an ERP with an HTTP interface.
type erp struct {
	mu      sync.Mutex
	orders  map[string]string // number by reference
	jobs    map[string]string // state by name
	answers map[string]string // JSON by id
	// status, if set, is what a POST or PUT answers after it was (applied) or
	// was not carried out.
	status  int
	applied bool
	lookUp  int // status of look-ups; 0: OK
}

func (e *erp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer s3cret-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet && e.lookUp != 0 {
		w.WriteHeader(e.lookUp)
		return
	}
	path, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case path == "orders" && r.Method == http.MethodPost:
		e.change(w, func() { e.create(w, r) })
	case path == "orders":
		found := []map[string]string{}
		if number, ok := e.orders[r.URL.Query().Get("reference")]; ok {
			found = append(found, map[string]string{"number": number})
		}
		_ = json.NewEncoder(w).Encode(found)
	case path == "jobs" && r.Method == http.MethodPut:
		e.change(w, func() { e.jobs[name] = "running" })
	case path == "jobs" && e.jobs[name] == "":
		w.WriteHeader(http.StatusNotFound)
	case path == "jobs":
		_ = json.NewEncoder(w).Encode(map[string]string{"state": e.jobs[name], "number": "SO-7", "reason": "no such customer"})
	case path == "answers" && r.Method == http.MethodDelete:
		if _, ok := e.answers[name]; !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		delete(e.answers, name)
	case path == "answers":
		_, _ = io.WriteString(w, "["+strings.Join(sortedValues(e.answers), ",")+"]")
	}
}

func (e *erp) change(w http.ResponseWriter, do func()) {
	if e.status == 0 || e.applied {
		do()
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
	}
}

func (e *erp) create(w http.ResponseWriter, r *http.Request) {
	var doc document
	_ = json.NewDecoder(r.Body).Decode(&doc)
	e.orders[doc.Reference] = "SO-" + doc.Reference[:4]
	if e.status == 0 {
		_ = json.NewEncoder(w).Encode(map[string]string{"number": e.orders[doc.Reference]})
	}
}

func sortedValues(m map[string]string) []string {
	var all []string
	for _, id := range []string{"1", "2", "3"} {
		if v, ok := m[id]; ok {
			all = append(all, v)
		}
	}
	return all
}

func serve(t *testing.T) (*erp, string) {
	t.Helper()
	e := &erp{orders: map[string]string{}, jobs: map[string]string{}, answers: map[string]string{}}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, `{"url":"` + server.URL + `","token":"s3cret-token"}`
}

// set changes the ERP.
func (e *erp) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

func TestADocumentIsCreatedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		applied bool
		fault   sdktest.Fault
		code    port.Code // of the first attempt; empty: success
		dead    bool      // the first attempt has no result
	}{
		"at once":                             {},
		"failed, not applied":                 {status: 502, code: port.Unreachable},
		"failed, but applied":                 {status: 502, applied: true, code: port.Unreachable},
		"refused":                             {status: 422, code: port.RejectedByERP},
		"the host died before the checkpoint": {fault: sdktest.CutBefore, dead: true},
		"the host died after the checkpoint":  {fault: sdktest.CutAfter, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, config := serve(t)
			e.status, e.applied = c.status, c.applied
			export := sdktest.New(t, rest{}).NewExport(config, sdktest.SampleOrder())
			export.OnCheckpoint = func(int) sdktest.Fault { return c.fault }
			first, err := export.Run(t.Context())
			if (err != nil) != c.dead || (!c.dead && first.GetSuccess() != (c.code == "")) {
				t.Fatalf("first attempt: %v, %v", first, err)
			}
			if c.code != "" && port.CodeOf(first.GetError().GetCode()) != c.code {
				t.Errorf("first attempt: %v, want %s", first, c.code)
			}
			e.set(func() { e.status = 0 })
			export.OnCheckpoint = nil
			second, err := export.Run(t.Context())
			if err != nil || !second.GetSuccess() || len(e.orders) != 1 {
				t.Errorf("second attempt: %v, %v; the ERP has %v", second, err, e.orders)
			}
			if there := c.applied || (c.code == "" && !c.dead); second.GetRecovered() != there {
				t.Errorf("recovered: %v, want %v", second.GetRecovered(), there)
			}
		})
	}
}

func TestALookUpThatFailsPromisesNothing(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]port.Code{400: port.OutcomeUnknown, 401: port.AuthenticationFailed, 503: port.Unreachable} {
		e, config := serve(t)
		export := sdktest.New(t, rest{}).NewExport(config, sdktest.SampleOrder())
		if result, err := export.Run(t.Context()); err != nil || !result.GetSuccess() {
			t.Fatalf("%v, %v", result, err)
		}
		e.set(func() { e.lookUp = status })
		result, err := export.Run(t.Context())
		if err != nil || port.CodeOf(result.GetError().GetCode()) != want || result.GetError().GetRetryable() != (status != 400) {
			t.Errorf("%d: %v, %v", status, result, err)
		}
	}
}

func TestAnswersArePolledAndSettled(t *testing.T) {
	t.Parallel()
	e, config := serve(t)
	e.answers = map[string]string{
		"1": `{"id":"1","reference":"r1","number":"SO-1"}`, "2": `{"id":"2","reference":"r2","reason":"no"}`, "3": `{"id":"3"}`,
	}
	host := sdktest.New(t, rest{})
	acks, err := host.FetchAcks(t.Context(), config, 0)
	if err != nil || len(acks) != 3 || acks[0].GetPositive() == nil || acks[1].GetNegative() == nil || acks[2].GetMalformed() == nil {
		t.Fatalf("%v, %v", acks, err)
	}
	for range 2 {
		failed, err := host.SettleAcks(t.Context(), config, connectorv1.Verdict_VERDICT_PROCESSED, "1", "2")
		if err != nil || len(failed) != 0 || len(e.answers) != 1 {
			t.Errorf("%v, %v; left are %v", failed, err, e.answers)
		}
	}
}

func TestASlowERPIsAskedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end     string // state of the job
		status  int    // of the hand-in
		applied bool
		want    port.Code // at the end; empty: success
	}{
		"done":                            {end: "done"},
		"refused":                         {end: "failed", want: port.RejectedByERP},
		"the hand-in failed, not applied": {end: "done", status: 500},
		"the hand-in failed, but applied": {end: "done", status: 500, applied: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, config := serve(t)
			e.status, e.applied = c.status, c.applied
			export := sdktest.New(t, jobs{}).NewExport(config, sdktest.SampleOrder())
			for range 3 { // the ERP takes its time
				result, err := export.Run(t.Context())
				if err != nil || !result.GetError().GetRetryable() {
					t.Fatalf("%v, %v", result, err)
				}
				e.set(func() { e.status = 0 })
			}
			if len(e.jobs) != 1 {
				t.Errorf("jobs %v", e.jobs)
			}
			e.set(func() { e.jobs[export.ID] = c.end })
			result, err := export.Run(t.Context())
			if err != nil || result.GetSuccess() != (c.want == "") || (c.want != "" && port.CodeOf(result.GetError().GetCode()) != c.want) {
				t.Errorf("%v, %v", result, err)
			}
		})
	}
}

// broker keeps one message for each id, as its readers do.
type broker struct {
	messages map[string]string
	fail     error
	applied  bool
}

func (b *broker) Publish(_ context.Context, id string, body []byte) error {
	if b.fail == nil || b.applied {
		b.messages[id] = string(body)
	}
	return b.fail
}

func TestAMessageIsPublishedAgainUnderItsID(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"failed, not applied": false, "failed, but applied": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &broker{messages: map[string]string{}, fail: io.ErrUnexpectedEOF, applied: applied}
			host := sdktest.New(t, queue{dial: func(context.Context, config) (publisher, error) { return b, nil }})
			config := `{"url":"amqp://queue.example","token":"s3cret-token"}`
			if response, err := host.TestConnection(t.Context(), config); err != nil || !response.GetSuccess() {
				t.Errorf("test: %v, %v", response, err)
			}
			export := host.NewExport(config, sdktest.SampleOrder())
			if result, err := export.Run(t.Context()); err != nil || !result.GetError().GetRetryable() {
				t.Fatalf("%v, %v", result, err)
			}
			b.fail = nil
			result, err := export.Run(t.Context())
			if err != nil || !result.GetSuccess() || len(b.messages) != 1 || b.messages[export.ID] != string(export.Payload.Data) {
				t.Errorf("%v, %v; the queue has %v", result, err, b.messages)
			}
		})
	}
}

func TestAConnectionIsTestedByARequest(t *testing.T) {
	t.Parallel()
	_, config := serve(t)
	for bad, want := range map[string]port.Code{
		"": "", "s3cret": port.AuthenticationFailed,
	} {
		c := config
		if bad != "" {
			c = strings.Replace(config, bad, "other-", 1)
		}
		for _, host := range []*sdktest.Host{sdktest.New(t, rest{}), sdktest.New(t, jobs{})} {
			response, err := host.TestConnection(t.Context(), c)
			if err != nil || response.GetSuccess() != (want == "") || (want != "" && port.CodeOf(response.GetError().GetCode()) != want) {
				t.Errorf("%q: %v, %v", bad, response, errors.Join(err))
			}
		}
	}
}
