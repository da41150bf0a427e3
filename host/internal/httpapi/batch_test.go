package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// lineAnswer is a line of a batch's answer.
type lineAnswer struct {
	Line   int
	Status int
	Export *struct {
		ID            string
		DraftOrderID  string `json:"draft_order_id"`
		ConnectorType string `json:"connector_type"`
	}
	Error *struct {
		Code       string
		Violations []struct{ Path string }
	}
}

func linesOf(t *testing.T, r io.Reader) []lineAnswer {
	t.Helper()
	var answers []lineAnswer
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var a lineAnswer
		if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
			t.Fatalf("line %q: %v", scanner.Text(), err)
		}
		answers = append(answers, a)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return answers
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestABatchAnswersEveryLineInOrder(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		second := newConnectionBody()
		second["connector_type"] = "SECOND_V1"
		w.call("POST", "/connections", second).want(201)
		known, changed := order(), order()
		first := encoded(t, changed)
		changed["currency"] = "USD"
		bad := order()
		bad["status"] = "DRAFT"
		lines := []struct {
			text   string
			status int
			code   string
		}{
			{encoded(t, known), 202, ""},
			{"", 0, ""},
			{encoded(t, known), 200, ""},
			{first, 202, ""},
			{encoded(t, changed), 409, "order_differs"},
			{"not json", 400, "malformed_order"},
			{`{"draft_order": `, 400, "malformed_order"},
			{encoded(t, bad), 422, "invalid_order"},
			{strings.Repeat("x", MaxBody+1), 413, "too_large"},
			{encoded(t, map[string]any{"draft_order": order(), "connector_type": "SECOND_V1", "idempotency_key": "k"}), 202, ""},
			{encoded(t, map[string]any{"draft_order": order(), "connector_type": "SECOND_V1", "idempotency_key": "k"}), 409, "idempotency_key_reused"},
			{encoded(t, map[string]any{"draft_order": order(), "connector_type": "NOPE_V1"}), 422, "no_active_connection"},
			{encoded(t, map[string]any{"draft_order": order(), "colour": 1}), 422, "invalid_request"},
			{"   \t", 0, ""},
			{encoded(t, order()), 202, ""}, // the last line has no newline
		}
		texts := make([]string, len(lines))
		for i, line := range lines {
			texts[i] = line.text
		}
		a := w.callAs(w.admin, "POST", "/exports:batch?connector_type="+fakeType, strings.Join(texts, "\r\n"), nil).want(200)
		if got := a.header.Get("Content-Type"); got != ndjsonType {
			t.Errorf("content type %q", got)
		}
		answers := linesOf(t, bytes.NewReader(a.body))
		for i, line := range lines {
			if line.status == 0 {
				continue
			}
			if len(answers) == 0 {
				t.Fatalf("line %d has no answer", i+1)
			}
			got := answers[0]
			answers = answers[1:]
			if got.Line != i+1 || got.Status != line.status {
				t.Errorf("line %d answered as line %d with %d, want %d", i+1, got.Line, got.Status, line.status)
			}
			if line.code != "" && (got.Error == nil || got.Error.Code != line.code || got.Export != nil) {
				t.Errorf("line %d: %+v, want %s", i+1, got.Error, line.code)
			}
			if line.code == "" && (got.Export == nil || got.Error != nil) {
				t.Errorf("line %d has no export", i+1)
			}
		}
		if len(answers) > 0 {
			t.Errorf("%d answers too many", len(answers))
		}
		w.callAs(w.admin, "POST", "/exports:batch", "", nil).want(200)
		w.callAs(w.admin, "POST", "/exports:batch?type=x", "", nil).wantProblem(422, "invalid_request", "type")
	})
}

// TestABatchAnswersWhileItIsRead sends one order, waits for its answer, and
// only then sends the next one.
func TestABatchAnswersWhileItIsRead(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		reader, writer := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.url+Base+"/exports:batch", reader)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.admin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answers := bufio.NewReader(res.Body)
		for i := range 3 {
			if _, err := fmt.Fprintln(writer, encoded(t, order())); err != nil {
				t.Fatal(err)
			}
			line, err := answers.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, fmt.Sprintf(`{"line":%d,"status":202,`, i+1)) {
				t.Fatalf("answer %d: %q %v", i+1, line, err)
			}
		}
		_ = writer.Close()
		if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %q %v", rest, err)
		}
	})
}

// TestABatchDoesNotWaitForAClientThatSendsFirst sends everything over a bare
// connection before it reads anything, far more than sockets buffer.
func TestABatchDoesNotWaitForAClientThatSendsFirst(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		const orders = 12_000 // about 11 MB of answers
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		for range orders {
			fmt.Fprintf(&body, "%s\n", encoded(t, order()))
		}
		fmt.Fprintf(conn, "POST %s/exports:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", Base, w.admin, body.Len())
		if _, err := conn.Write(body.Bytes()); err != nil {
			t.Fatalf("the host stopped reading: %v", err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answers := linesOf(t, res.Body)
		if len(answers) != orders {
			t.Fatalf("%d answers, want %d", len(answers), orders)
		}
		for i, a := range answers {
			if a.Line != i+1 || a.Status != 202 {
				t.Fatalf("answer %d: line %d, status %d", i+1, a.Line, a.Status)
			}
		}
		counts, err := w.store.CountExports(t.Context())
		if err != nil || counts[domain.Pending] != orders {
			t.Errorf("%v in the database: %v", counts, err)
		}
	})
}

// TestABatchThatBreaksOffSaysWhere sends one good chunk and then garbage.
func TestABatchThatBreaksOffSaysWhere(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		w.connect(w.admin)
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		line := encoded(t, order()) + "\n"
		fmt.Fprintf(conn, "POST %s/exports:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n",
			Base, w.admin, len(line), line)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answers := linesOf(t, res.Body)
		if len(answers) == 0 || answers[0].Status != 202 {
			t.Fatalf("answers %+v", answers)
		}
		if last := answers[len(answers)-1]; last.Line != 2 || last.Status != 400 {
			t.Errorf("the last answer is %+v", last)
		}
		var list struct{ Items []any }
		w.call("GET", "/exports", nil).want(200).decode(&list)
		if len(list.Items) != 1 {
			t.Errorf("%d exports", len(list.Items))
		}
	})
}

// TestAClientThatSendsForEverAndNeverReadsIsCutOff: what it is answered waits in
// sockets and in the spool, and all of them are bounded.
func TestAClientThatSendsForEverAndNeverReadsIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorldOfBatches(t, batchBounds{spool: 1 << 20, stall: 500 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	fmt.Fprintf(conn, "POST %s/exports:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n", Base, w.admin)
	lines := strings.Repeat("{}\n", 1000)
	for err == nil {
		_, err = fmt.Fprintf(conn, "%x\r\n%s\r\n", len(lines), lines)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as it is from the socket
		t.Fatal("it may send for a minute and read nothing")
	}
	eventuallyLogged(t, w, errUnread.Error())
}

// TestAClientThatReadsLateGetsAllAnswers: more answers than sockets hold wait
// for a client that sends everything first.
func TestAClientThatReadsLateGetsAllAnswers(t *testing.T) {
	t.Parallel()
	w := newWorldOfBatches(t, batchBounds{spool: 64 << 20, stall: 30 * time.Second})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(120 * time.Second))
	const all = 40_000
	body := strings.Repeat("{}\n", all)
	fmt.Fprintf(conn, "POST %s/exports:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", Base, w.admin, len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if n := len(linesOf(t, res.Body)); n != all {
		t.Errorf("%d answers to %d lines", n, all)
	}
}

func eventuallyLogged(t *testing.T, w *world, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(w.log.String(), text); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q: %s", text, w.log.String())
		}
	}
}

func TestABatchGoesOnAfterAGroupThatFails(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		failing := &failingStore{Store: w.store, fail: 1}
		w = newWorldOn(t, w, failing)
		w.connect(w.admin)
		draft := encoded(t, order())
		for i, want := range []int{503, 202} {
			answers := linesOf(t, bytes.NewReader(w.callAs(w.admin, "POST", "/exports:batch", draft, nil).want(200).body))
			if len(answers) != 1 || answers[0].Status != want {
				t.Fatalf("call %d: %+v, want %d", i+1, answers, want)
			}
			if failed := answers[0].Error; want == 503 && (failed == nil || failed.Code != "database_unavailable") {
				t.Errorf("the reason is %+v", failed)
			}
		}
		if !strings.Contains(w.log.String(), "the disk is full") {
			t.Error("the log does not say why")
		}
	})
}

// TestAHandInSurvivesAnAcceptWhoseReplyWasLost: the store commits and then
// reports an error, as when the connection breaks in the middle of a commit.
func TestAHandInSurvivesAnAcceptWhoseReplyWasLost(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		failing := &failingStore{Store: w.store, fail: 1, apply: true}
		w = newWorldOn(t, w, failing)
		w.connect(w.admin)
		w.call("POST", "/exports", map[string]any{"draft_order": order()}).want(202)
		counts, err := w.store.CountExports(t.Context())
		if err != nil || counts[domain.Pending] != 1 {
			t.Errorf("%v exports: %v", counts, err)
		}
		if failing.calls() < 2 {
			t.Error("it was not tried again")
		}
	})
}

func TestAHandInWaitsForADatabaseThatComesBack(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		failing := &failingStore{Store: w.store, fail: 3}
		w = newWorldOn(t, w, failing)
		w.connect(w.admin)
		w.call("POST", "/exports", map[string]any{"draft_order": orderWithID(uuid.NewString())}).want(202)
	})
}

var _ store.Store = (*failingStore)(nil)
