package configschema

import (
	"fmt"
	"reflect"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// KeepSecrets returns updated with the secret values of old where updated
// leaves them out, so that an operator can change a config without typing its
// secrets again. A secret that is null in updated is removed instead. Elements
// of arrays take over secrets only from an old element that is otherwise equal,
// wherever it was.
//
// If the result is not valid and updated without the old secrets is, for
// instance because it has gone from a password to a key, nothing is kept.
func (s *Schema) KeepSecrets(old, updated []byte) ([]byte, error) {
	was, err := parseConfig(old)
	if err != nil {
		return nil, fmt.Errorf("keep secrets: the old config %w", err)
	}
	wanted, err := parseConfig(updated)
	if err != nil {
		return nil, fmt.Errorf("keep secrets: the new config %w", err)
	}
	n := s.rootNode()
	alone := keep(n, nil, wanted)
	merged := keep(n, was, wanted)
	if len(s.validate(merged)) > 0 && len(s.validate(alone)) == 0 {
		merged = alone
	}
	return marshal(merged)
}

// keep returns a copy of wanted with the secrets of was, and without its own
// null secrets.
func keep(n node, was, wanted any) any {
	switch wanted := wanted.(type) {
	case map[string]any:
		old, _ := was.(map[string]any)
		return keepInObject(n, old, wanted)
	case []any:
		old, _ := was.([]any)
		return keepInArray(n, old, wanted)
	default:
		return wanted
	}
}

func keepInObject(n node, was, wanted map[string]any) map[string]any {
	merged := make(map[string]any, len(wanted))
	for key, value := range wanted {
		child := n.property(key)
		if value == nil && child.secret() {
			continue
		}
		merged[key] = keep(child, was[key], value)
	}
	for key, value := range was {
		if _, given := wanted[key]; given {
			continue
		}
		if child := n.property(key); child.secret() {
			merged[key] = value
		}
	}
	return merged
}

func keepInArray(n node, was, wanted []any) []any {
	merged := make([]any, len(wanted))
	used := make([]bool, len(was))
	for i, value := range wanted {
		child := n.element(i)
		var match any
		for j, candidate := range was {
			if !used[j] && reflect.DeepEqual(redact(child, candidate), redact(child, value)) {
				used[j], match = true, candidate
				break
			}
		}
		merged[i] = keep(child, match, value)
	}
	return merged
}

// WithDefaults returns the config with the "default" of each property that is
// absent from an object that is there. Defaults inside of conditions and
// choices do not count: they may not apply.
func (s *Schema) WithDefaults(configJSON []byte) ([]byte, error) {
	config, err := parseConfig(configJSON)
	if err != nil {
		return nil, fmt.Errorf("fill in defaults: the config %w", err)
	}
	fill(s.root, config)
	return marshal(config)
}

func fill(schema *jsonschema.Schema, value any) {
	for schema != nil && schema.Ref != nil && len(schema.Properties) == 0 {
		schema = schema.Ref
	}
	if schema == nil {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for key, property := range schema.Properties {
			if child, ok := value[key]; ok {
				fill(property, child)
			} else if property.Default != nil {
				value[key] = *property.Default
			}
		}
	case []any:
		for _, child := range value {
			fill(schema.Items2020, child)
		}
	}
}
