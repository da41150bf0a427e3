package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/seal"
)

func TestCreatingAConnection(t *testing.T) {
	config := func(kv ...any) map[string]any {
		m := map[string]any{"host": "erp.example", "password": "open sesame"}
		for i := 0; i < len(kv); i += 2 {
			if kv[i+1] == nil {
				delete(m, kv[i].(string))
				continue
			}
			m[kv[i].(string)] = kv[i+1]
		}
		return map[string]any{"connector_type": fakeType, "config": m}
	}
	onEachStore(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			body   any
			status int
			code   string
			paths  []string
		}{
			"an unknown connector type":        {map[string]any{"connector_type": "NOPE", "config": map[string]any{}}, 422, "unknown_connector_type", []string{"connector_type"}},
			"a connector that can't run":       {map[string]any{"connector_type": "BROKEN_V1", "config": map[string]any{}}, 503, "connector_unavailable", nil},
			"no connector type":                {map[string]any{"config": map[string]any{}}, 422, "invalid_request", []string{"connector_type"}},
			"a connector type that is no text": {map[string]any{"connector_type": 7, "test_on_save": "yes", "config": map[string]any{}}, 422, "invalid_request", []string{"connector_type", "test_on_save"}},
			"no config":                        {map[string]any{"connector_type": fakeType}, 422, "invalid_config", []string{"config"}},
			"a config that is null":            {map[string]any{"connector_type": fakeType, "config": nil}, 422, "invalid_config", []string{"config"}},
			"a config that is a list":          {map[string]any{"connector_type": fakeType, "config": []int{1}}, 422, "invalid_config", []string{"config"}},
			"every wrong field at once":        {config("host", nil, "port", 0, "password", "short", "color", "red", "shape", 1), 422, "invalid_config", []string{"config.host", "config.port", "config.password", "config.color", "config.shape"}},
			"a nested wrong field":             {config("proxy", map[string]any{"url": 1, "nope": true}), 422, "invalid_config", []string{"config.proxy.url", "config.proxy.nope"}},
			"unknown fields of the request":    {map[string]any{"connector_type": fakeType, "config": map[string]any{}, "a": 1, "b": 2}, 422, "invalid_request", []string{"a", "b"}},
			"a body that is not JSON":          {`{"connector_type":`, 400, "malformed_request", nil},
			"a body that is a list":            {`[]`, 400, "malformed_request", nil},
			"a body that is null":              {`null`, 400, "malformed_request", nil},
			"two documents":                    {`{} {}`, 400, "malformed_request", nil},
			"an empty body":                    {``, 400, "malformed_request", nil},
		} {
			t.Run(name, func(t *testing.T) {
				w := *w
				w.t = t
				a := w.call("POST", "/connections", c.body).wantProblem(c.status, c.code, c.paths...)
				for _, secret := range []string{"open sesame", `"short"`} {
					if strings.Contains(string(a.body), secret) {
						t.Errorf("the answer has the secret %q: %s", secret, a.body)
					}
				}
			})
		}
		var list struct{ Items []any }
		w.call("GET", "/connections", nil).want(200).decode(&list)
		if len(list.Items) != 0 {
			t.Errorf("%d connections were saved by refused calls", len(list.Items))
		}
	})
}

func TestTheUnknownTypeIsNamedInTheFixedSentence(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		a := w.call("POST", "/connections", map[string]any{"connector_type": "NOPE_V9", "config": map[string]any{}})
		if got, want := a.want(422).field("detail"), "Unknown connector type: NOPE_V9"; got != want {
			t.Errorf("detail %q, want %q", got, want)
		}
	})
}

func TestAConnectionIsShownWithoutItsSecrets(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		body := newConnectionBody()
		body["config"].(map[string]any)["proxy"] = map[string]any{"url": "http://proxy", "token": "tok-tok-tok"}
		created := w.call("POST", "/connections", body).want(201)
		id := created.field("id")
		shown := w.call("GET", "/connections/"+id, nil).want(200)
		if diff := cmp.Diff(string(created.body), string(shown.body)); diff != "" {
			t.Errorf("shown differs from created:\n%s", diff)
		}
		var conn map[string]any
		shown.decode(&conn)
		want := map[string]any{"host": "erp.example", "proxy": map[string]any{"url": "http://proxy"}}
		if diff := cmp.Diff(want, conn["config"]); diff != "" {
			t.Errorf("config:\n%s", diff)
		}
		for _, name := range []string{"id", "org_id", "connector_type", "status", "last_test_at", "health", "config", "created_at", "updated_at"} {
			if _, ok := conn[name]; !ok {
				t.Errorf("the connection has no field %s", name)
			}
		}
		if conn["status"] != "ACTIVE" || conn["org_id"] != w.org.ID.String() || conn["health"].(map[string]any)["state"] != "UNKNOWN" {
			t.Errorf("unexpected: %s", shown.body)
		}
		if w.waker.count(id) == 0 {
			t.Error("the engine was not told")
		}
	})
}

func TestOnlyOneConnectionOfATypeIsActive(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		first := w.connect(w.admin)
		w.call("POST", "/connections", newConnectionBody()).wantProblem(409, "connection_exists")
		second := newConnectionBody()
		second["connector_type"] = "SECOND_V1"
		w.call("POST", "/connections", second).want(201)

		if got := w.call("POST", "/connections/"+first+"/disable", nil).want(200).field("status"); got != "DISABLED" {
			t.Errorf("status %s", got)
		}
		w.call("POST", "/connections/"+first+"/disable", nil).want(200)
		third := w.connect(w.admin)
		w.call("POST", "/connections/"+first+"/enable", nil).wantProblem(409, "connection_exists")
		w.call("POST", "/connections/"+third+"/disable", nil).want(200)
		if got := w.call("POST", "/connections/"+first+"/enable", nil).want(200).field("status"); got != "ACTIVE" {
			t.Errorf("status %s", got)
		}
		_, foreign := w.newOrg("globex")
		w.connect(foreign)
	})
}

func TestUpdatingAConfigKeepsTheSecretsItLeavesOut(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		id := w.connect(w.admin)
		stored := func() map[string]any {
			t.Helper()
			raw, err := w.services.Connections.Decrypt(t.Context(), operator(w.org.ID), uuid.MustParse(id))
			if err != nil {
				t.Fatal(err)
			}
			var config map[string]any
			if err := json.Unmarshal(raw, &config); err != nil {
				t.Fatal(err)
			}
			return config
		}
		before := w.call("GET", "/connections/"+id, nil).want(200)
		for name, c := range map[string]struct {
			body any
			want map[string]any
		}{
			"wrapped": {map[string]any{"config": map[string]any{"host": "two.example", "port": 22}}, map[string]any{"host": "two.example", "port": 22.0, "password": "open sesame"}},
			"bare":    {map[string]any{"host": "three.example"}, map[string]any{"host": "three.example", "password": "open sesame"}},
		} {
			w.call("PUT", "/connections/"+id+"/config", c.body).want(200)
			if diff := cmp.Diff(c.want, stored()); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"config": map[string]any{"host": "four.example", "password": "new secret"}}).want(200)
		if got := stored()["password"]; got != "new secret" {
			t.Errorf("password %v", got)
		}
		after := w.call("GET", "/connections/"+id, nil).want(200)
		if before.field("updated_at") >= after.field("updated_at") {
			t.Errorf("updated_at went from %s to %s", before.field("updated_at"), after.field("updated_at"))
		}
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"config": map[string]any{"host": "", "port": "x", "extra": 1}}).
			wantProblem(422, "invalid_config", "config.host", "config.port", "config.extra")
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"config": map[string]any{"host": "x", "password": nil}}).
			wantProblem(422, "invalid_config", "config.password")
		w.call("PUT", "/connections/"+id+"/config", `{"config"`).wantProblem(400, "malformed_request")
		if got := stored()["host"]; got != "four.example" {
			t.Errorf("a refused update changed the host to %v", got)
		}
	})
}

func TestTestingAConnection(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		id := w.connect(w.admin)
		var ok struct {
			Success   bool
			Error     any
			LatencyMS int `json:"latency_ms"`
			Steps     []map[string]any
		}
		w.call("POST", "/connections/"+id+"/test", nil).want(200).decode(&ok)
		if !ok.Success || ok.Error != nil || ok.LatencyMS != 7 || len(ok.Steps) != 1 || ok.Steps[0]["name"] != "connect" {
			t.Errorf("result %+v", ok)
		}
		tested := w.registry.tests[len(w.registry.tests)-1].GetConnection()
		if tested.GetId() != id || tested.GetOrgSlug() != "acme" || !strings.Contains(string(tested.GetConfig()), "open sesame") {
			t.Errorf("the connector was given %v", tested)
		}
		if at := w.call("GET", "/connections/"+id, nil).want(200).field("last_test_at"); at == "" {
			t.Error("last_test_at is not set")
		}
		for host, code := range map[string]string{"down.example": "UNREACHABLE", "crash.example": "CONNECTOR_CRASHED"} {
			w.call("PUT", "/connections/"+id+"/config", map[string]any{"host": host}).want(200)
			failed := w.call("POST", "/connections/"+id+"/test", nil).want(200)
			var result struct {
				Success bool
				Error   struct{ Code, Message string }
			}
			failed.decode(&result)
			if result.Success || result.Error.Code != code || result.Error.Message == "" {
				t.Errorf("%s: %s", host, failed.body)
			}
			if strings.Contains(string(failed.body), "open sesame") {
				t.Errorf("%s: the answer has the password: %s", host, failed.body)
			}
		}
		w.registry.mu.Lock()
		w.registry.gone = true
		w.registry.mu.Unlock()
		gone := w.call("POST", "/connections/"+id+"/test", nil).want(200)
		if !strings.Contains(string(gone.body), "Unknown connector type: FAKE_V1") || !strings.Contains(string(gone.body), "CONNECTOR_UNAVAILABLE") {
			t.Errorf("without a connector: %s", gone.body)
		}
		shown := w.call("GET", "/connections/"+id, nil).want(200)
		if !strings.Contains(string(shown.body), `"config":null`) {
			t.Errorf("without a connector nobody can tell what is secret, yet: %s", shown.body)
		}
	})
}

func TestAConfigThatFailsItsTestIsNotSaved(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		body := newConnectionBody()
		body["test_on_save"] = true
		body["config"].(map[string]any)["host"] = "down.example"
		refused := w.call("POST", "/connections", body).wantProblem(422, "connection_test_failed")
		var p struct {
			Test struct {
				Success bool
				Error   struct{ Code string }
				Steps   []any
			}
		}
		refused.decode(&p)
		if p.Test.Success || p.Test.Error.Code != "UNREACHABLE" || len(p.Test.Steps) != 1 {
			t.Errorf("the problem has not the test result: %s", refused.body)
		}
		if got := w.registry.tests[0].GetConnection().GetId(); got != "" {
			t.Errorf("a connection that is not saved was tested with the id %q", got)
		}
		var list struct{ Items []any }
		w.call("GET", "/connections", nil).want(200).decode(&list)
		if len(list.Items) != 0 {
			t.Fatalf("%d connections were saved", len(list.Items))
		}
		body["config"].(map[string]any)["host"] = "erp.example"
		saved := w.call("POST", "/connections", body).want(201)
		if saved.field("last_test_at") == "" || !strings.Contains(string(saved.body), `"success":true`) {
			t.Errorf("the answer does not tell of the test: %s", saved.body)
		}
		id := saved.field("id")
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"config": map[string]any{"host": "down.example"}, "test_on_save": true}).
			wantProblem(422, "connection_test_failed")
		if shown := w.call("GET", "/connections/"+id, nil).want(200); !strings.Contains(string(shown.body), "erp.example") {
			t.Errorf("the config was replaced: %s", shown.body)
		}
	})
}

func TestAConfigThatDoesNotOpenDisablesNothingElse(t *testing.T) {
	onEachStore(t, func(t *testing.T, w *world) {
		id := w.connect(w.admin)
		conn, err := w.store.Connection(t.Context(), w.org.ID, uuid.MustParse(id))
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := seal.NewKeyring(seal.GenerateKey()).Seal([]byte(`{"host":"x","password":"secret secret"}`), seal.BindingOf(conn))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Reseal(t.Context(), conn.ID, conn.Sealed.Blob, foreign); err != nil {
			t.Fatal(err)
		}
		second := newConnectionBody()
		second["connector_type"] = "SECOND_V1"
		w.call("POST", "/connections", second).want(201)
		var list struct {
			Items []struct {
				ID     string
				Health struct{ State, Reason string }
				Config map[string]any
			}
		}
		w.call("GET", "/connections", nil).want(200).decode(&list)
		if len(list.Items) != 2 {
			t.Fatalf("%d connections", len(list.Items))
		}
		for _, item := range list.Items {
			if item.ID == id && (item.Health.State != "DOWN" || !strings.Contains(item.Health.Reason, "does not open") || item.Config != nil) {
				t.Errorf("the one that does not open: %+v", item)
			}
			if item.ID != id && item.Config["host"] != "erp.example" {
				t.Errorf("the other one: %+v", item)
			}
		}
		w.call("PUT", "/connections/"+id+"/config", map[string]any{"host": "new.example", "password": "typed again"}).want(200)
		if shown := w.call("GET", "/connections/"+id, nil).want(200); !strings.Contains(string(shown.body), "new.example") {
			t.Errorf("it could not be replaced: %s", shown.body)
		}
	})
}
