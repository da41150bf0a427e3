package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// route is one operation of the document.
type route struct {
	method, path string
	op           *huma.Operation
}

// routes lists every operation of the document, so that a test which walks
// them can't forget a new one.
func routes() []route {
	api := registerAPI(http.NewServeMux(), Config{Version: "test"})
	var found []route
	for path, item := range api.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil {
				found = append(found, route{method, path, op})
			}
		}
	}
	slices.SortFunc(found, func(a, b route) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return found
}

// in fills the path with ids.
func (r route) in(connection, export string) string {
	id := export
	if strings.Contains(r.path, "/connections/") {
		id = connection
	}
	return strings.NewReplacer("{id}", id, "{type}", fakeType).Replace(r.path)
}

// body is a valid body for the operation, or nil.
func (r route) body() any {
	switch r.op.OperationID {
	case "createConnection":
		return newConnectionBody()
	case "updateConnectionConfig":
		return map[string]any{"config": map[string]any{"host": "erp.example", "password": "open sesame"}}
	case "createExport":
		return map[string]any{"draft_order": order()}
	case "resolveExport":
		return map[string]any{"outcome": "sent"}
	default:
		return nil
	}
}

func TestEveryOperationNeedsAToken(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		revoked, secret, err := w.services.Tokens.Create(t.Context(), operator(w.org.ID), "", domain.Admin)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.services.Tokens.Revoke(t.Context(), operator(w.org.ID), revoked.ID); err != nil {
			t.Fatal(err)
		}
		all := routes()
		if len(all) < 15 {
			t.Fatalf("only %d operations", len(all))
		}
		for _, r := range all {
			for name, header := range map[string]string{
				"none": "", "empty": "Bearer ", "unknown": "Bearer op_" + strings.Repeat("0", 64), "revoked": "Bearer " + secret,
				"no prefix": "Bearer " + strings.TrimPrefix(w.admin, "op_"), "another scheme": "Basic " + w.admin, "bare": w.admin,
				"longer": "Bearer " + w.admin + "0", "shorter": "Bearer " + w.admin[:len(w.admin)-1],
			} {
				a := w.callAs("", r.method, r.in(uuid.NewString(), uuid.NewString()), r.body(), map[string]string{"Authorization": header})
				if a.status != 401 || a.field("code") != "unauthenticated" || a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s with token %s: %d %s", r.method, r.path, name, a.status, a.body)
				}
			}
		}
		w.callAs("", "GET", "/connections", nil, map[string]string{"Authorization": "bearer  " + w.admin}).want(200)
	})
}

func TestARevokedTokenStopsWorking(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		token, secret, err := w.services.Tokens.Create(t.Context(), operator(w.org.ID), "", domain.Viewer)
		if err != nil {
			t.Fatal(err)
		}
		w.callAs(secret, "GET", "/exports", nil, nil).want(200)
		// Another process revokes it: this one has it in its cache.
		elsewhere := app.New(app.Deps{Store: w.store, Registry: w.registry, Keyring: w.keyring, Payloads: w.payloads})
		if err := elsewhere.Tokens.Revoke(t.Context(), operator(w.org.ID), token.ID); err != nil {
			t.Fatal(err)
		}
		over := time.After(2 * time.Second)
		for w.callAs(secret, "GET", "/exports", nil, nil).status != 401 {
			select {
			case <-over:
				t.Fatal("it still works after two seconds")
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
}

// TestOrganizationsAreApart calls every operation on another organization's
// things.
func TestOrganizationsAreApart(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		connection := w.connect(w.admin)
		export := w.handIn(w.admin)
		w.attempt(connection, store.Finish{
			Outcome: domain.OutcomeLost, Status: domain.Failed, Error: &domain.ExportError{Code: "OUTCOME_UNKNOWN", Message: "who knows"},
		})
		_, stranger := w.newOrg("globex")
		before := w.snapshot()
		for _, r := range routes() {
			a := w.callAs(stranger, r.method, r.in(connection, export), r.body(), nil)
			switch {
			case strings.Contains(r.path, "{id}"):
				missing := w.callAs(stranger, r.method, r.in(uuid.NewString(), uuid.NewString()), r.body(), nil)
				if a.status != 404 || missing.status != 404 || a.field("code") != missing.field("code") {
					t.Errorf("%s %s: %d %s, and for what is not there: %d %s", r.method, r.path, a.status, a.body, missing.status, missing.body)
				}
			case a.status >= 500:
				t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
			}
			for _, id := range []string{connection, export, w.org.ID.String()} {
				if strings.Contains(string(a.body), id) && !strings.Contains(r.path, "{id}") {
					t.Errorf("%s %s tells a stranger of %s: %s", r.method, r.path, id, a.body)
				}
			}
		}
		if diff := cmp.Diff(before, w.snapshot()); diff != "" {
			t.Errorf("a stranger changed something:\n%s", diff)
		}
		// An order of the same id is another organization's own order.
		w.callAs(stranger, "POST", "/exports", map[string]any{"draft_order": order()}, nil).want(202)
	})
}

// snapshot is what the organization's admin sees.
func (w *world) snapshot() []string {
	w.t.Helper()
	var all []string
	for _, path := range []string{"/connections", "/exports", "/audit"} {
		all = append(all, string(w.call("GET", path, nil).want(200).body))
	}
	return all
}

func TestRolesMayDoWhatTheTableSays(t *testing.T) {
	may := map[string]string{
		"listConnectorTypes": "AIOV", "getConnectorType": "AIOV",
		"listConnections": "AIOV", "getConnection": "AIOV", "createConnection": "AI", "updateConnectionConfig": "AI",
		"testConnection": "AIO", "enableConnection": "AIO", "disableConnection": "AIO",
		"createExport": "AI", "createExports": "AI", "listExports": "AIOV", "getExport": "AIOV", "getExportPayload": "AIOV",
		"retryExport": "AO", "resolveExport": "AO", "listAudit": "AIOV",
	}
	onEachStore(t, func(t *testing.T, w *world) {
		connection := w.connect(w.admin)
		export := w.handIn(w.admin)
		for _, role := range []domain.Role{domain.Admin, domain.Integrator, domain.Ops, domain.Viewer} {
			token := w.token(w.org.ID, role)
			for _, r := range routes() {
				letters, ok := may[r.op.OperationID]
				if !ok {
					t.Fatalf("the table does not say who may do %s", r.op.OperationID)
				}
				a := w.callAs(token, r.method, r.in(connection, export), r.body(), nil)
				if allowed := strings.Contains(letters, string(role[0])); allowed == (a.status == 403) {
					t.Errorf("%s as %s: %d %s", r.op.OperationID, role, a.status, a.body)
				}
				if a.status == 403 && a.field("code") != "role_forbids" {
					t.Errorf("%s as %s: %s", r.op.OperationID, role, a.body)
				}
				if r.op.OperationID == "disableConnection" {
					w.call("POST", "/connections/"+connection+"/enable", nil).want(200)
				}
			}
		}
	})
}

// TestNoSecretEverComesOut sends secrets in every way there is, right and
// wrong, and looks for them in all that leaves the host.
func TestNoSecretEverComesOut(t *testing.T) {
	const canary, second = "canary-7f3a-secret", "canary-9b1c-secret"
	onEachStore(t, func(t *testing.T, w *world) {
		var seen []*answered
		call := func(method, path string, body any) *answered {
			a := w.call(method, path, body)
			seen = append(seen, a)
			return a
		}
		config := func(host string, more map[string]any) map[string]any {
			m := map[string]any{"host": host, "password": canary, "proxy": map[string]any{"url": "u", "token": second}}
			for k, v := range more {
				m[k] = v
			}
			return m
		}
		body := func(c any) map[string]any {
			return map[string]any{"connector_type": fakeType, "config": c, "test_on_save": true}
		}
		call("POST", "/connections", body(config("", map[string]any{"port": canary}))).want(422)
		call("POST", "/connections", body(map[string]any{"password": 1, "proxy": canary})).want(422)
		call("POST", "/connections", body([]string{canary})).want(422)
		call("POST", "/connections", `{"config": {"password": "`+canary+`"`).want(400)
		call("POST", "/connections", map[string]any{"connector_type": "NOPE", "config": config("x", nil)}).want(422)
		call("POST", "/connections", body(config("down.example", nil))).want(422)
		call("POST", "/connections", body(config("crash.example", nil))).want(422)
		id := call("POST", "/connections", body(config("erp.example", nil))).want(201).field("id")
		call("POST", "/connections", body(config("erp.example", nil))).want(409)
		call("GET", "/connections/"+id, nil).want(200)
		call("PUT", "/connections/"+id+"/config", map[string]any{"config": config("down.example", nil)}).want(200)
		call("POST", "/connections/"+id+"/test", nil).want(200)
		call("PUT", "/connections/"+id+"/config", config("crash.example", nil)).want(200)
		call("POST", "/connections/"+id+"/test", nil).want(200)
		call("PUT", "/connections/"+id+"/config", map[string]any{"host": "", "password": canary, "proxy": map[string]any{"token": 5}}).want(422)
		call("POST", "/exports", map[string]any{"draft_order": order()}).want(202)
		call("POST", "/connections/"+id+"/disable", nil).want(200)
		call("POST", "/connections/"+id+"/enable", nil).want(200)
		open, err := w.services.Connections.Decrypt(t.Context(), operator(w.org.ID), uuid.MustParse(id))
		if err != nil || !strings.Contains(string(open), canary) {
			t.Fatalf("decrypt: %v", err)
		}
		call("GET", "/connections", nil).want(200)
		call("GET", "/exports", nil).want(200)
		audit := call("GET", "/audit?limit=500", nil).want(200)
		call("GET", "/metrics", nil).want(200)
		if !strings.Contains(string(audit.body), "connection.decrypt") {
			t.Error("the audit log does not tell of the decryption")
		}
		texts := map[string]string{"the log": w.log.String()}
		for _, a := range seen {
			texts["an answer"] += string(a.body)
			for name, values := range a.header {
				texts["a header"] += name + strings.Join(values, " ")
			}
		}
		conn, err := w.store.Connection(t.Context(), w.org.ID, uuid.MustParse(id))
		if err != nil {
			t.Fatal(err)
		}
		texts["the row"] = string(conn.Sealed.Blob) + conn.Health.Reason
		for where, text := range texts {
			for _, secret := range []string{canary, second, w.admin} {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s has a secret: …%s…", where, text[max(0, at-120):min(len(text), at+60)])
				}
			}
		}
		if len(w.log.String()) == 0 {
			t.Error("nothing was logged, so nothing was looked through")
		}
	})
}

func TestTheAuditLogSaysWhoDidWhat(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		id := w.connect(w.admin)
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"host": "two.example"}).want(200)
		w.call("POST", "/connections/"+id+"/test", nil).want(200)
		w.call("POST", "/connections/"+id+"/disable", nil).want(200)
		w.call("POST", "/connections/"+id+"/enable", nil).want(200)
		type entry struct {
			ID, Action, Subject, Actor, At string
			OrgID                          string `json:"org_id"`
			Details                        json.RawMessage
		}
		var got []string
		path := "/audit?limit=2"
		for path != "" {
			var list struct {
				Items      []entry
				NextCursor *string `json:"next_cursor"`
			}
			w.call("GET", path, nil).want(200).decode(&list)
			for _, e := range list.Items {
				got = append(got, e.Action)
				if strings.HasPrefix(e.Action, "connection.") && (e.Subject != "connection:"+id || !strings.HasPrefix(e.Actor, "token:")) {
					t.Errorf("entry %+v", e)
				}
				if e.OrgID != w.org.ID.String() || e.ID == "" || e.At == "" {
					t.Errorf("entry %+v", e)
				}
			}
			path = ""
			if list.NextCursor != nil {
				path = "/audit?limit=2&cursor=" + *list.NextCursor
			}
		}
		want := []string{
			"connection.enable", "connection.disable", "connection.test", "connection.update", "connection.create",
			"token.create", "organization.create",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("audit log, from new to old:\n%s", diff)
		}
		w.call("GET", "/audit?limit=9999", nil).wantProblem(422, "invalid_request", "limit")
	})
}
