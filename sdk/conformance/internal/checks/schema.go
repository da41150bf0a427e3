package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
	"github.com/orderport/orderport/sdk/conformance/internal/target"
	"github.com/orderport/orderport/sdk/port"
)

func schema() []suite.Check {
	return []suite.Check{
		{
			ID: "schema/valid", Level: suite.Must, Clauses: []string{"SCH-01"}, Run: schemaValid,
			Title: "config_schema is a JSON Schema 2020-12 of a closed object that stands alone",
		},
		{
			ID: "schema/described", Level: suite.Should, Clauses: []string{"SCH-02"}, Run: schemaDescribed,
			Title: "each property has a title and a description",
		},
		{
			ID: "schema/defaults", Level: suite.Must, Clauses: []string{"SCH-02"}, Run: schemaDefaults,
			Title: "each default is valid against its own property",
		},
		{
			ID: "schema/secrets", Level: suite.Must, Clauses: []string{"SCH-03"}, Run: schemaSecrets,
			Title: "secrets are writeOnly strings without default, enum or example",
		},
		{
			ID: "schema/patterns", Level: suite.Must, Clauses: []string{"SCH-06"}, Run: schemaPatterns,
			Title: "each pattern means the same to ECMAScript and RE2",
		},
		{
			ID: "schema/required", Level: suite.Must, Clauses: []string{"SCH-05"}, Run: requiredFields,
			Title: "without required fields the answer is INVALID_CONFIG and names all of them",
		},
		{
			ID: "schema/wrong-values", Level: suite.Must, Clauses: []string{"SCH-05"}, Run: wrongValues,
			Title: "unknown fields, wrong types and values out of range are INVALID_CONFIG by path, without the value",
		},
		{
			ID: "schema/every-call", Level: suite.Must, Clauses: []string{"SCH-05"}, Run: invalidEverywhere,
			Title: "every call that carries a config checks it",
		},
		{
			ID: "schema/before-network", Level: suite.Must, Clauses: []string{"SCH-05"}, Needs: []suite.Need{suite.Network},
			Run:   checkedBeforeNetwork,
			Title: "a wrong config is refused without a connection to the target",
		},
		{
			ID: "schema/compatible", Level: suite.Must, Clauses: []string{"SCH-04"}, Needs: []suite.Need{suite.PreviousSchema},
			Run:   compatible,
			Title: "every config that the previous schema accepted is still accepted",
		},
	}
}

func schemaValid(t *suite.T) {
	for _, v := range configschema.CheckSchema(t.Description.GetConfigSchema()) {
		if !strings.Contains(v.Message, "secret") { // schema/secrets says that
			t.Errorf("the schema: %s", v)
		}
	}
}

// properties returns the schema's own properties by path, nested ones too.
func properties(t *suite.T) map[string]map[string]any {
	var root map[string]any
	if err := json.Unmarshal(t.Description.GetConfigSchema(), &root); err != nil {
		t.Fatalf("the schema: %v", err)
	}
	found := map[string]map[string]any{}
	collect(root, "", found)
	return found
}

func collect(schema map[string]any, prefix string, found map[string]map[string]any) {
	children, _ := schema["properties"].(map[string]any)
	for name, child := range children {
		property, ok := child.(map[string]any)
		if !ok {
			continue
		}
		found[prefix+name] = property
		collect(property, prefix+name+".", found)
	}
}

func schemaDescribed(t *suite.T) {
	for path, property := range properties(t) {
		for _, keyword := range []string{"title", "description"} {
			if text, _ := property[keyword].(string); strings.TrimSpace(text) == "" {
				t.Errorf("%s has no %s", path, keyword)
			}
		}
	}
}

func schemaDefaults(t *suite.T) {
	for path, property := range properties(t) {
		value, ok := property["default"]
		if !ok {
			continue
		}
		// A schema of one property with the same rules.
		own, err := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{"value": property}})
		if err != nil {
			t.Fatalf("%v", err)
		}
		compiled, err := configschema.Compile(own)
		if err != nil {
			continue // refers to another place of the schema
		}
		config, err := json.Marshal(map[string]any{"value": value})
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, v := range compiled.Validate(config) {
			t.Errorf("the default of %s %s", path, v.Message)
		}
	}
}

// foreignSyntax is what only one of the two kinds of regular expressions knows.
var foreignSyntax = regexp.MustCompile(`\(\?|\\u|\\[1-9]|\\[pPQEAzCGhHRvVXK]|\[\[:|\{,`)

func schemaPatterns(t *suite.T) {
	for path, property := range properties(t) {
		pattern, ok := property["pattern"].(string)
		if !ok {
			continue
		}
		if _, err := regexp.Compile(pattern); err != nil {
			t.Errorf("the pattern of %s is none for RE2: %v", path, err)
		}
		// A group that only groups is known to both.
		if strange := foreignSyntax.FindString(strings.ReplaceAll(pattern, "(?:", "(")); strange != "" {
			t.Errorf("the pattern of %s uses %q, which does not mean the same everywhere", path, strange)
		}
	}
}

// secretName matches names that can only be those of secrets. A "key_file" or
// "host_key" is none.
var secretName = regexp.MustCompile(`(?i)(^|[._-])(password|passwd|passphrase|pwd|secret|client_?secret|token|api_?key|private_?key|credentials?)$`)

func schemaSecrets(t *suite.T) {
	for _, v := range configschema.CheckSchema(t.Description.GetConfigSchema()) {
		if strings.Contains(v.Message, "secret") {
			t.Errorf("the schema: %s", v)
		}
	}
	for path, property := range properties(t) {
		text := property["type"] == "string"
		if text && secretName.MatchString(path) && property["writeOnly"] != true {
			t.Errorf("%s looks like a secret and is not writeOnly", path)
		}
	}
}

// sample returns the sample config as values.
func sample(t *suite.T) map[string]any {
	var values map[string]any
	if err := json.Unmarshal(t.Config(nil), &values); err != nil {
		t.Fatalf("the sample config: %v", err)
	}
	return values
}

func encode(t *suite.T, values map[string]any) []byte {
	config, err := json.Marshal(values)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return config
}

// wantViolations fails unless the answer to a config is INVALID_CONFIG with
// exactly one violation for each of the paths.
func wantViolations(t *suite.T, what string, e *connectorv1.Error, paths []string) {
	if e == nil {
		t.Errorf("%s: it was accepted", what)
		return
	}
	suite.CheckError(t, e)
	if code := port.CodeOf(e.GetCode()); code != port.InvalidConfig {
		t.Errorf("%s: the code is %s, want INVALID_CONFIG", what, code)
	}
	var got []string
	for _, v := range e.GetViolations() {
		got = append(got, v.GetPath())
		if v.GetMessage() == "" {
			t.Errorf("%s: the violation of %q has no message", what, v.GetPath())
		}
	}
	slices.Sort(got)
	for _, path := range paths {
		if !slices.Contains(got, path) {
			t.Errorf("%s: no violation names %q, only %q", what, path, got)
		}
	}
}

// requiredFields removes each field that the schema wants, and then all.
func requiredFields(t *suite.T) {
	if t.Schema == nil {
		t.Fatalf("the schema can't be read")
	}
	c := t.Start()
	if response := c.TestConnection(t.Config(nil)); port.CodeOf(response.GetError().GetCode()) == port.InvalidConfig && response.GetError() != nil {
		t.Errorf("the sample config is refused: %s", response.GetError().GetMessage())
	}
	values := sample(t)
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		without := maps.Clone(values)
		delete(without, name)
		if !violates(t.Schema, encode(t, without), name) {
			continue
		}
		missing = append(missing, name)
		wantViolations(t, "without "+name, c.TestConnection(encode(t, without)).GetError(), []string{name})
	}
	if len(missing) == 0 {
		t.Notef("the schema requires none of the sample config's fields")
		return
	}
	// What is required may depend on another field, so this asks the schema.
	empty := []byte("{}")
	var all []string
	for _, v := range t.Schema.Validate(empty) {
		all = append(all, v.Path)
	}
	wantViolations(t, "an empty config", c.TestConnection(empty).GetError(), all)
}

func violates(s *configschema.Schema, config []byte, path string) bool {
	return slices.ContainsFunc(s.Validate(config), func(v configschema.Violation) bool { return v.Path == path })
}

// wrong makes values that a property may refuse; the schema says which it does.
func wrong(property map[string]any) map[string]any {
	values := map[string]any{
		"wrong-type-object": map[string]any{"wrong": "CONFORMANCE-WRONG-VALUE"}, "wrong-type-number": 12345.5,
		"wrong-type-text": "CONFORMANCE-WRONG-VALUE", "empty": "", "whitespace": " \t ",
		"very long": strings.Repeat("CONFORMANCE-WRONG-VALUE", 40<<10), "null": nil,
	}
	for keyword, step := range map[string]float64{"minimum": -1, "maximum": 1} {
		if bound, ok := property[keyword].(float64); ok {
			values["beyond "+keyword] = bound + step
		}
	}
	return values
}

func wrongValues(t *suite.T) {
	if t.Schema == nil {
		t.Fatalf("the schema can't be read")
	}
	c := t.Start()
	values := sample(t)
	try := func(what, name string, value any) {
		changed := maps.Clone(values)
		changed[name] = value
		config := encode(t, changed)
		if !violates(t.Schema, config, name) {
			return // the schema allows it
		}
		e := c.TestConnection(config).GetError()
		wantViolations(t, what, e, []string{name})
		if strings.Contains(e.String(), "CONFORMANCE-WRONG-VALUE") {
			t.Errorf("%s: the answer shows the value", what)
		}
	}
	try("an unknown field", "conformance_unknown_field", true)
	for name, property := range properties(t) {
		if strings.Contains(name, ".") {
			continue
		}
		for kind, value := range wrong(property) {
			try(fmt.Sprintf("%s (%s)", name, kind), name, value)
		}
	}
	for what, config := range map[string]string{
		"no JSON": "{", "not an object": `["CONFORMANCE-WRONG-VALUE"]`, "nothing": "", "null": "null",
	} {
		wantViolations(t, what, c.TestConnection([]byte(config)).GetError(), nil)
	}
}

// invalidConfig has one field too many.
func invalidConfig(t *suite.T) []byte {
	return t.Config(map[string]any{"conformance_unknown_field": true})
}

func invalidEverywhere(t *suite.T) {
	c := t.Start()
	connection := suite.Connection(invalidConfig(t))
	wantUnknown := func(call string, e *connectorv1.Error) {
		wantViolations(t, call, e, []string{"conformance_unknown_field"})
	}
	wantUnknown("TestConnection", c.TestConnection(connection.GetConfig()).GetError())
	ctx, cancel := t.Call()
	defer cancel()
	attempt := t.NewExportOf(suite.SampleOrder(), connection).Run(ctx, c)
	if attempt.Err != nil {
		t.Errorf("Export: gRPC status instead of a result: %v", attempt.Err)
	} else {
		wantUnknown("Export", attempt.Result.GetError())
	}
	t.WantOrders(0)
	if !slices.Contains(t.Description.GetCapabilities(), connectorv1.Capability_CAPABILITY_ACKS) {
		return
	}
	stream, err := c.Port.FetchAcks(ctx, &connectorv1.FetchAcksRequest{Connection: connection})
	if err == nil {
		_, err = stream.Recv()
	}
	wantUnknown("FetchAcks", port.ErrorFrom(err))
	settled, err := c.Port.SettleAcks(ctx, &connectorv1.SettleAcksRequest{
		Connection:  connection,
		Settlements: []*connectorv1.Settlement{{Handle: "none", Verdict: connectorv1.Verdict_VERDICT_PROCESSED}},
	})
	if err != nil || len(settled.GetResults()) != 1 {
		t.Errorf("SettleAcks: %v, %v, want one result with an error", settled, err)
		return
	}
	wantUnknown("SettleAcks", settled.GetResults()[0].GetError())
}

func checkedBeforeNetwork(t *suite.T) {
	c := t.Start()
	proxy := t.Target().(target.Network).Proxy() // the need says so
	before := proxy.Accepted()
	connection := suite.Connection(invalidConfig(t))
	c.TestConnection(connection.GetConfig())
	ctx, cancel := t.Call()
	defer cancel()
	t.NewExportOf(suite.SampleOrder(), connection).Run(ctx, c)
	if after := proxy.Accepted(); after != before {
		t.Errorf("it opened %d connections to the target for a config that is wrong", after-before)
	}
}

func compatible(t *suite.T) {
	data, err := os.ReadFile(t.Profile.PreviousSchema)
	if err != nil {
		t.Fatalf("read the previous schema: %v", err)
	}
	previous, err := configschema.Compile(data)
	if err != nil {
		t.Fatalf("the previous schema: %v", err)
	}
	if t.Schema == nil {
		t.Fatalf("the schema can't be read")
	}
	configs := oldConfigs(t, data, previous)
	if len(configs) == 0 {
		t.Fatalf("no config could be made that the previous schema accepts, not even the sample")
	}
	for _, config := range configs {
		for _, v := range t.Schema.Validate(config) {
			t.Errorf("a config that the previous schema accepts: %s", v)
		}
	}
	t.Notef("%d configs of the previous schema were tried", len(configs))
}
