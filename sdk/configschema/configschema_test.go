package configschema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/sdk/configschema"
)

const schema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object", "additionalProperties": false,
	"required": ["mode"],
	"properties": {
		"mode":        {"enum": ["sftp", "filesystem"]},
		"host":        {"type": "string", "minLength": 1, "format": "hostname"},
		"port":        {"type": "integer", "minimum": 1, "maximum": 65535, "default": 22},
		"ratio":       {"type": "number", "exclusiveMaximum": 0.5},
		"password":    {"type": "string", "writeOnly": true, "pattern": "^[^ ]*$"},
		"private_key": {"$ref": "#/$defs/secret"},
		"passphrase":  {"$ref": "#/$defs/secret"},
		"retry":       {
			"type": "object", "additionalProperties": false, "required": ["max"],
			"properties": {"max": {"type": "integer"}, "token": {"$ref": "#/$defs/secret"}, "wait": {"type": "integer", "default": 5}}
		},
		"lines":       {
			"type": "array", "uniqueItems": true, "maxItems": 3,
			"items": {"type": "object", "additionalProperties": false, "required": ["name"],
				"properties": {"name": {"type": "string"}, "qty": {"type": "number"}, "token": {"$ref": "#/$defs/secret"}}}
		},
		"labels":      {"type": "object", "additionalProperties": {"type": "string"}}
	},
	"dependentRequired": {"passphrase": ["private_key"]},
	"if": {"properties": {"mode": {"const": "sftp"}}, "required": ["mode"]},
	"then": {"required": ["host"], "oneOf": [{"required": ["password"]}, {"required": ["private_key"]}]},
	"else": {"properties": {"host": false}},
	"$defs": {"secret": {"type": "string", "writeOnly": true, "minLength": 2}}
}`

func compile(t testing.TB, text string) *configschema.Schema {
	t.Helper()
	s, err := configschema.Compile([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestValidateNamesEachWrongField(t *testing.T) {
	t.Parallel()
	s := compile(t, schema)
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"a valid config has no violations":      {`{"mode":"sftp","host":"h","password":"pw","retry":{"max":3}}`, nil},
		"a pair, and what only looks like half": {`{"mode":"filesystem","labels":{"a":"\ud83d\ude00","b":"\\ud83d","c":"\\\u0041"}}`, nil},
		"all violations come at once": {
			`{"mode":"sftp","port":0,"bogus":1,"retry":{"wait":"x"},"password":"pw"}`,
			[]string{
				"bogus is not a known field", `host is required when mode is "sftp"`, "port must be at least 1",
				"retry.max is required", "retry.wait must be an integer",
			},
		},
		"a missing field is named by its own path": {`{}`, []string{"mode is required"}},
		"elements are named by index": {
			`{"mode":"filesystem","lines":[{"name":"a"},{"qty":1},{"name":"c","qty":"1","x":2}]}`,
			[]string{"lines[1].name is required", "lines[2].qty must be a number", "lines[2].x is not a known field"},
		},
		"an enum lists what is allowed": {`{"mode":"ftp"}`, []string{`mode must be one of "sftp", "filesystem"`}},
		"one of two is required": {
			`{"mode":"sftp","host":"h"}`,
			[]string{`password is required when mode is "sftp", or instead one of: private_key`},
		},
		"two exclude each other": {
			`{"mode":"sftp","host":"h","password":"pw","private_key":"key"}`,
			[]string{`private_key can't be given together with password when mode is "sftp"`},
		},
		"the other branch applies": {
			`{"mode":"filesystem","host":"h"}`, []string{`host is not allowed unless mode is "sftp"`},
		},
		"a dependency names both": {
			`{"mode":"filesystem","passphrase":"xx"}`, []string{"private_key is required when passphrase is set"},
		},
		"formats are checked":     {`{"mode":"sftp","password":"p","host":"a b"}`, []string{"host must be a valid hostname"}},
		"patterns are shown":      {`{"mode":"sftp","host":"h","password":"a b"}`, []string{"password must match the pattern ^[^ ]*$"}},
		"bounds are exact":        {`{"mode":"filesystem","ratio":0.50}`, []string{"ratio must be less than 0.5"}},
		"equal elements are told": {`{"mode":"filesystem","lines":[{"name":"a"},{"name":"a"}]}`, []string{"lines must not have equal elements (0 and 1)"}},
		"odd names are quoted":    {`{"mode":"filesystem","a.b":1}`, []string{`["a.b"] is not a known field`}},
		"digits may be a name":    {`{"mode":"filesystem","labels":{"2":3}}`, []string{"labels.2 must be a string"}},
		"not JSON":                {`{"mode":`, []string{"the config must be valid JSON"}},
		"nothing":                 {``, []string{"the config must be valid JSON"}},
		"two values":              {`{"mode":"filesystem"} {}`, []string{"the config must be valid JSON"}},
		"a comma at the end":      {`{"mode":"filesystem",}`, []string{"the config must be valid JSON"}},
		"not an object":           {`["mode"]`, []string{"the config must be a JSON object"}},
		"null":                    {`null`, []string{"the config must be a JSON object"}},
		"a key that comes twice":  {`{"mode":"sftp","mode":"filesystem"}`, []string{"the config has the same key twice in one object"}},
		"a nested key twice":      {`{"mode":"filesystem","retry":{"max":1,"m\u0061x":2}}`, []string{"the config has the same key twice in one object"}},
		"half of a pair":          {`{"mode":"filesystem\ud83d"}`, []string{`the config must not have half of a surrogate pair, such as \ud83d alone`}},
		"halves in a wrong order": {`{"mode":"\ude00\ud83d"}`, []string{`the config must not have half of a surrogate pair, such as \ud83d alone`}},
		"not UTF-8":               {"{\"mode\":\"\xff\"}", []string{"the config must be valid UTF-8"}},
		"an absurd number":        {`{"mode":"filesystem","port":1e999999999}`, []string{"the config has a number that is out of range"}},
		"an absurd depth":         {strings.Repeat("[", 5000), []string{"the config is nested too deeply"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, v := range s.Validate([]byte(c.config)) {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVariantsAreToldApartByTheirConstant(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"type":"object","additionalProperties":false,"required":["auth"],"properties":{"auth":{"type":"object",
		"oneOf":[
			{"properties":{"kind":{"const":"basic"},"user":{"type":"string"}},"required":["kind","user"],"additionalProperties":false},
			{"properties":{"kind":{"const":"key"},"file":{"type":"string"}},"required":["kind","file"],"additionalProperties":false}]}}}`)
	for config, want := range map[string]string{
		`{"auth":{"kind":"key"}}`:                        "[auth.file is required]",
		`{"auth":{"kind":"basic","user":1}}`:             "[auth.user must be a string]",
		`{"auth":{"kind":"none"}}`:                       `[auth.kind must be "basic", or another allowed variant auth.kind must be "key", or another allowed variant]`,
		`{"auth":{"kind":"basic","user":"u","file":""}}`: "[auth.file is not a known field]",
	} {
		if got := fmt.Sprint(s.Validate([]byte(config))); got != want {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
}

const canary = "c4n4ry-v4lue"

func TestViolationsNeverHoldAValue(t *testing.T) {
	t.Parallel()
	s := compile(t, schema)
	quoted := `"` + canary + `"`
	for _, config := range []string{
		`{"mode":` + quoted + `}`,
		`{"mode":"sftp","host":"` + canary + ` ","password":"` + canary + ` x","port":` + quoted + `}`,
		`{"mode":"sftp","private_key":[` + quoted + `],"password":{"x":` + quoted + `}}`,
		`{"mode":"filesystem","lines":[` + quoted + `,` + quoted + `,{"name":[` + quoted + `]}],"labels":{"a":[` + quoted + `]}}`,
		`{"mode":"filesystem","bogus":` + quoted + `,"retry":` + quoted + `}`,
		`{"mode":"filesystem","x":` + quoted + `"}`,
		quoted, `[` + quoted, "\xff" + quoted,
	} {
		violations := s.Validate([]byte(config))
		if len(violations) == 0 {
			t.Errorf("%s should be invalid", config)
		}
		if text := fmt.Sprintf("%+v", violations); strings.Contains(text, canary) {
			t.Errorf("a value is in %s", text)
		}
	}
}

func TestCompileRefusesSchemasThatReachOutside(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`{"$ref":"file:///etc/passwd"}`, `{"$ref":"https://schema.example/x.json"}`, `{"$ref":"other.json"}`,
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`, `{"type":"nonsense"}`, `{"pattern":"("}`, `{`, `7`,
		`{"type":"object","type":"object"}`,
	} {
		if _, err := configschema.Compile([]byte(bad)); err == nil {
			t.Errorf("%s should not compile", bad)
		}
	}
}

func TestCheckSchemaNamesWhatBreaksTheRules(t *testing.T) {
	t.Parallel()
	closed := func(properties string) string {
		return `{"type":"object","additionalProperties":false,"properties":` + properties + `}`
	}
	for name, c := range map[string]struct {
		schema string
		want   []string
	}{
		"a good schema":                {schema, nil},
		"an open root":                 {`{"type":"object"}`, []string{`the config must have "additionalProperties": false at the schema's root`}},
		"a root that is no object":     {`{"type":["object","null"],"additionalProperties":false}`, []string{`the config must have "type": "object" at the schema's root`}},
		"a secret that is no string":   {closed(`{"pin":{"type":"integer","writeOnly":true}}`), []string{`pin is secret and must have "type": "string"`}},
		"a secret with a default":      {closed(`{"pw":{"type":"string","writeOnly":true,"default":"x"}}`), []string{`pw is secret and must have no "default", "examples", "enum" or "const"`}},
		"a nested secret with an enum": {closed(`{"a":{"type":"array","items":{"type":"object","properties":{"pw":{"type":"string","writeOnly":true,"enum":["x"]}}}}}`), []string{`a[].pw is secret and must have no "default", "examples", "enum" or "const"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, v := range configschema.CheckSchema([]byte(c.schema)) {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
	if got := configschema.CheckSchema([]byte(`{`)); len(got) != 1 {
		t.Errorf("no schema at all: %v", got)
	}
}

func TestSchemasThatContainThemselvesEnd(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"type":"object","additionalProperties":false,"properties":{
		"child":{"$ref":"#"},"pw":{"type":"string","writeOnly":true}}}`)
	if diff := cmp.Diff([]string{"child.pw", "pw"}, s.SecretPaths()); diff != "" {
		t.Error(diff)
	}
	got, err := s.Redact([]byte(`{"child":{"child":{"pw":"a"},"pw":"b"},"pw":"c"}`))
	if err != nil || string(got) != `{"child":{"child":{}}}` {
		t.Errorf("%s, %v", got, err)
	}
	var wide strings.Builder // each level refers to the next one twice
	for i := range 40 {
		fmt.Fprintf(&wide, `"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	bomb := `{"type":"object","additionalProperties":false,"properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{` +
		wide.String() + `"d40":{"type":"string"}}}`
	if got := configschema.CheckSchema([]byte(bomb)); len(got) != 1 {
		t.Errorf("a schema with 2^40 places: %v", got)
	}
	compile(t, bomb).SecretPaths()
}
