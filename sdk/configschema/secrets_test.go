package configschema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretPathsListsEveryPlace(t *testing.T) {
	t.Parallel()
	want := []string{"lines[].token", "passphrase", "password", "private_key", "retry.token"}
	if diff := cmp.Diff(want, compile(t, schema).SecretPaths()); diff != "" {
		t.Error(diff)
	}
}

func TestRedactRemovesSecretsAndWhatTheSchemaDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := compile(t, schema)
	for config, want := range map[string]string{
		`{"mode":"sftp","password":"pw","ratio":0.10}`:                              `{"mode":"sftp","ratio":0.10}`,
		`{"retry":{"max":1,"token":"x"},"lines":[{"name":"a","token":"y"}]}`:        `{"lines":[{"name":"a"}],"retry":{"max":1}}`,
		`{"mode":"sftp","passwort_of_an_older_schema":"x","labels":{"a<":"b"}}`:     `{"labels":{"a<":"b"},"mode":"sftp"}`,
		`{"password":{"nested":"x"},"private_key":["x"],"lines":[["x"],{"bad":1}]}`: `{"lines":[[],{}]}`,
	} {
		got, err := s.Redact([]byte(config))
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s, %v\nwant %s", config, got, err, want)
		}
	}
	if got, err := s.Redact([]byte(`"` + canary)); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("not JSON: %s, %v", got, err)
	}
}

func TestASecretInOneBranchIsSecretEverywhere(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"type":"object","properties":{"kind":{"type":"string"},"value":{"type":"string"}},
		"if":{"properties":{"kind":{"const":"key"}}},"then":{"properties":{"value":{"writeOnly":true}}},
		"anyOf":[{"properties":{"a":{"type":"string","writeOnly":true}}},{"patternProperties":{"^x_":{"type":"string","writeOnly":true}}},
		{"dependentSchemas":{"kind":{"properties":{"d":{"type":"string","writeOnly":true}}}}},
		{"properties":{"t":{"type":"array","prefixItems":[{"type":"string","writeOnly":true},{"type":"string"}]}}}]}`)
	got, err := s.Redact([]byte(`{"kind":"other","value":"v","a":"1","x_y":"2","d":"3","t":["4","kept"]}`))
	if want := `{"kind":"other","t":["kept"]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestSecretValuesListsWhatMustNotBeLogged(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAA\nshort\n-----END KEY-----\n"
	config := `{"mode":"sftp","host":"h","password":"pw","private_key":"` + strings.ReplaceAll(key, "\n", `\n`) +
		`","retry":{"token":"tok"},"lines":[{"token":"t0"},{"token":""}],"passphrase":7}`
	want := []string{key, "AAAAAAAAAAAAAAAAAAAAAAAA", "tok", "pw", "t0", "7"}
	if diff := cmp.Diff(want, compile(t, schema).SecretValues([]byte(config))); diff != "" {
		t.Error(diff)
	}
}

func TestKeepSecretsFillsInWhatAnUpdateLeavesOut(t *testing.T) {
	t.Parallel()
	s := compile(t, schema)
	const old = `{"mode":"sftp","host":"h","password":"old","retry":{"max":1,"token":"rt"},` +
		`"lines":[{"name":"a","token":"ta"},{"name":"b","token":"tb"}]}`
	for name, c := range map[string]struct{ updated, want string }{
		"an absent secret is kept": {
			`{"mode":"sftp","host":"new"}`, `{"host":"new","mode":"sftp","password":"old"}`,
		},
		"a given secret replaces": {
			`{"mode":"sftp","host":"h","password":"new"}`, `{"host":"h","mode":"sftp","password":"new"}`,
		},
		"an empty secret is given": {
			`{"mode":"sftp","host":"h","password":""}`, `{"host":"h","mode":"sftp","password":""}`,
		},
		"a nested secret is kept where its object is": {
			`{"mode":"sftp","host":"h","retry":{"max":9}}`,
			`{"host":"h","mode":"sftp","password":"old","retry":{"max":9,"token":"rt"}}`,
		},
		"null removes": {
			`{"mode":"sftp","host":"h","retry":{"max":9,"token":null}}`,
			`{"host":"h","mode":"sftp","password":"old","retry":{"max":9}}`,
		},
		"elements find theirs after a move, and a changed one does not": {
			`{"mode":"sftp","host":"h","lines":[{"name":"b"},{"name":"A"}]}`,
			`{"host":"h","lines":[{"name":"b","token":"tb"},{"name":"A"}],"mode":"sftp","password":"old"}`,
		},
		"other ways to log in drop the old secret": {
			`{"mode":"sftp","host":"h","private_key":"key"}`, `{"host":"h","mode":"sftp","private_key":"key"}`,
		},
		"what is not secret is not kept": {
			`{"mode":"filesystem"}`, `{"mode":"filesystem","password":"old"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := s.KeepSecrets([]byte(old), []byte(c.updated))
			if err != nil || string(got) != c.want {
				t.Errorf("\n got %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
	if _, err := s.KeepSecrets([]byte(old), []byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("a broken update must be an error")
	}
}

func TestWithDefaultsFillsOnlyWhatIsAbsent(t *testing.T) {
	t.Parallel()
	s := compile(t, schema)
	for config, want := range map[string]string{
		`{"mode":"sftp"}`:                `{"mode":"sftp","port":22}`,
		`{"port":1,"retry":{"max":1.0}}`: `{"port":1,"retry":{"max":1.0,"wait":5}}`,
		`{"port":null}`:                  `{"port":null}`,
	} {
		got, err := s.WithDefaults([]byte(config))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", config, got, err, want)
		}
	}
}

func FuzzValidate(f *testing.F) {
	s := compile(f, schema)
	for _, seed := range []string{
		`{}`, `{"mode":"sftp","host":"h","password":"` + canary + `"}`, `{"lines":[{"name":1},2]}`, `{"retry":{"max":1e400}}`,
		`[[[`, `{"a":"\ud800"}`, "\xff", `{"labels":{"":""}}`, `{"mode":"` + canary + `","` + `x":-0.0e-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		violations := s.Validate(config)
		for _, v := range violations {
			if v.Message == "" {
				t.Errorf("no message for %q", v.Path)
			}
			if strings.Contains(v.Message, canary) {
				t.Errorf("a value in %q", v.Message)
			}
		}
		shown, err := s.Redact(config)
		if err != nil {
			if len(violations) == 0 {
				t.Errorf("valid, but not to be redacted: %v", err)
			}
			return
		}
		if len(s.SecretValues(shown)) > 0 {
			t.Errorf("secrets are left in %s", shown)
		}
		kept, err := s.KeepSecrets(config, config)
		if err != nil {
			t.Fatal(err)
		}
		if len(violations) == 0 && len(s.Validate(kept)) > 0 {
			t.Errorf("%s became invalid as %s", config, kept)
		}
		if _, err := s.WithDefaults(config); err != nil {
			t.Error(err)
		}
	})
}
