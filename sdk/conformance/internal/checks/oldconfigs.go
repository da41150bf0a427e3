package checks

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/conformance/internal/suite"
)

// oldConfigs makes configs that a schema accepts: the sample config with fields
// taken away, added and changed. They are the same in each run.
func oldConfigs(t *suite.T, schemaJSON []byte, schema *configschema.Schema) [][]byte {
	var root struct {
		Properties map[string]map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(schemaJSON, &root); err != nil {
		t.Fatalf("the previous schema: %v", err)
	}
	names := slices.Sorted(maps.Keys(root.Properties))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // to be repeatable
	var configs [][]byte
	values := sample(t)
	keep := func(changed map[string]any) {
		if config := encode(t, changed); len(schema.Validate(config)) == 0 {
			configs = append(configs, config)
		}
	}
	// Each value of each field by itself, and then some together.
	for _, name := range names {
		for _, value := range valuesOf(root.Properties[name]) {
			changed := maps.Clone(values)
			changed[name] = value
			keep(changed)
		}
	}
	for tries := 0; len(names) > 0 && len(configs) < t.Sizes().Configs && tries < 50*t.Sizes().Configs; tries++ {
		changed := maps.Clone(values)
		for range 1 + random.IntN(3) {
			name := names[random.IntN(len(names))]
			options := valuesOf(root.Properties[name])
			if choice := random.IntN(len(options) + 1); choice == len(options) {
				delete(changed, name)
			} else {
				changed[name] = options[choice]
			}
		}
		keep(changed)
	}
	return configs
}

// valuesOf makes values at the borders of what a property allows.
func valuesOf(property map[string]any) []any {
	if choices, ok := property["enum"].([]any); ok {
		return choices
	}
	var values []any
	for _, keyword := range []string{"default", "const", "minimum", "maximum"} {
		if value, ok := property[keyword]; ok {
			values = append(values, value)
		}
	}
	if examples, ok := property["examples"].([]any); ok {
		values = append(values, examples...)
	}
	switch property["type"] {
	case "boolean":
		values = append(values, true, false)
	case "integer", "number":
		values = append(values, 0, 1, 7)
	case "string":
		for _, keyword := range []string{"minLength", "maxLength"} {
			if n, ok := property[keyword].(float64); ok && n < 1<<16 {
				values = append(values, strings.Repeat("x", int(n)), "/"+strings.Repeat("x", max(0, int(n)-1)))
			}
		}
		values = append(values, "x", "x.example", "/x", "0640", "https://x.example/")
	case "array":
		values = append(values, []any{})
	case "object":
		values = append(values, map[string]any{})
	}
	return values
}
