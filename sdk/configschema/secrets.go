package configschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// node is everything that a schema may say about one place in a config: the
// subschema there and all that it refers to or chooses between. Choices are
// not decided: what is secret in one branch is secret.
type node []*jsonschema.Schema

func (s *Schema) rootNode() node { return expand(s.root) }

func expand(schemas ...*jsonschema.Schema) node {
	var n node
	for len(schemas) > 0 {
		schema := schemas[0]
		schemas = schemas[1:]
		if schema == nil || slices.Contains(n, schema) {
			continue
		}
		n = append(n, schema)
		schemas = append(schemas, schema.Ref, schema.If, schema.Then, schema.Else)
		if schema.DynamicRef != nil {
			schemas = append(schemas, schema.DynamicRef.Ref)
		}
		schemas = append(schemas, schema.AllOf...)
		schemas = append(schemas, schema.AnyOf...)
		schemas = append(schemas, schema.OneOf...)
		for _, dependent := range schema.DependentSchemas {
			schemas = append(schemas, dependent)
		}
	}
	return n
}

// property returns what the schema says about a property; an empty node means
// that it does not describe it.
func (n node) property(key string) node {
	var found []*jsonschema.Schema
	for _, schema := range n {
		named := len(found)
		if p, ok := schema.Properties[key]; ok {
			found = append(found, p)
		}
		for pattern, p := range schema.PatternProperties {
			if pattern.MatchString(key) {
				found = append(found, p)
			}
		}
		if len(found) > named {
			continue
		}
		if p, ok := schema.AdditionalProperties.(*jsonschema.Schema); ok {
			found = append(found, p)
		}
		found = append(found, schema.UnevaluatedProperties)
	}
	return expand(allowed(found)...)
}

// element returns what the schema says about an array's element.
func (n node) element(index int) node {
	var found []*jsonschema.Schema
	for _, schema := range n {
		if index < len(schema.PrefixItems) {
			found = append(found, schema.PrefixItems[index])
		} else {
			found = append(found, schema.Items2020, schema.UnevaluatedItems)
		}
		found = append(found, schema.Contains)
	}
	return expand(allowed(found)...)
}

// allowed leaves out nil and the schema false, which describes nothing.
func allowed(schemas []*jsonschema.Schema) []*jsonschema.Schema {
	return slices.DeleteFunc(schemas, func(s *jsonschema.Schema) bool {
		return s == nil || (s.Bool != nil && !*s.Bool)
	})
}

func (n node) secret() bool {
	return slices.ContainsFunc(n, func(s *jsonschema.Schema) bool { return s.WriteOnly })
}

// Redact returns the config without its secret values. Properties that the
// schema does not describe are left out, too: they may be secrets of an
// earlier version of the schema. The config need not be valid.
func (s *Schema) Redact(configJSON []byte) ([]byte, error) {
	config, err := parseConfig(configJSON)
	if err != nil {
		return nil, fmt.Errorf("redact: the config %w", err)
	}
	return marshal(redact(s.rootNode(), config))
}

func redact(n node, value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := make(map[string]any, len(value))
		for key, child := range value {
			if c := n.property(key); len(c) > 0 && !c.secret() {
				kept[key] = redact(c, child)
			}
		}
		return kept
	case []any:
		kept := make([]any, 0, len(value))
		for i, child := range value {
			if c := n.element(i); len(c) > 0 && !c.secret() {
				kept = append(kept, redact(c, child))
			}
		}
		return kept
	default:
		return value
	}
}

// SecretValues returns the secret texts in the config, the longest first, for
// taking them out of logs. Of a text of several lines, such as a private key,
// each longer line is listed as well. The caller decides which are too short
// to look for. A config that can't be read has none.
func (s *Schema) SecretValues(configJSON []byte) []string {
	config, err := parseConfig(configJSON)
	if err != nil {
		return nil
	}
	found := make(map[string]struct{})
	visit(s.rootNode(), config, func(text string) {
		found[text] = struct{}{}
		for _, line := range secretLines(text) {
			found[line] = struct{}{}
		}
	})
	values := make([]string, 0, len(found))
	for text := range found {
		values = append(values, text)
	}
	slices.SortFunc(values, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return values
}

func secretLines(text string) []string {
	const shortest = 16
	var lines []string
	if !strings.Contains(text, "\n") {
		return nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if len(line) >= shortest && !strings.HasPrefix(line, "-----") {
			lines = append(lines, line)
		}
	}
	return lines
}

// visit calls found with every text at or below a secret place.
func visit(n node, value any, found func(string)) {
	if n.secret() {
		texts(value, found)
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			visit(n.property(key), child, found)
		}
	case []any:
		for i, child := range value {
			visit(n.element(i), child, found)
		}
	}
}

func texts(value any, found func(string)) {
	switch value := value.(type) {
	case string:
		if value != "" {
			found(value)
		}
	case json.Number:
		found(value.String())
	case map[string]any:
		for _, child := range value {
			texts(child, found)
		}
	case []any:
		for _, child := range value {
			texts(child, found)
		}
	}
}

// SecretPaths returns the places of the schema that are secret, in order, such
// as "password" or "hosts[].token"; "*" stands for a property of any name. A
// schema that contains itself is followed once.
func (s *Schema) SecretPaths() []string {
	var paths []string
	walk(s.rootNode(), func(p place) {
		if p.node.secret() {
			paths = append(paths, p.path)
		}
	})
	slices.Sort(paths)
	return slices.Compact(paths)
}

// maxPlaces bounds a walk: a small schema can describe astronomically many
// places by referring to the same definition again and again.
const maxPlaces = 10_000

// walk calls visit for each place of a schema, but not for those below a
// secret one. It returns false if there are more than maxPlaces.
func walk(root node, visit func(place)) bool {
	left := maxPlaces
	var descend func(p place, above node)
	descend = func(p place, above node) {
		if len(p.node) == 0 || slices.Contains(above, p.node[0]) || left == 0 {
			return
		}
		left--
		visit(p)
		if p.node.secret() {
			return
		}
		above = append(slices.Clone(above), p.node[0])
		for _, child := range p.node.children(p.path) {
			descend(child, above)
		}
	}
	descend(place{"", root}, nil)
	return left > 0
}

// place is a node and the path where it applies.
type place struct {
	path string
	node node
}

// children lists the places directly below a node, each at least once.
func (n node) children(path string) []place {
	var places []place
	for _, schema := range n {
		for key := range schema.Properties {
			places = append(places, place{join(path, key), n.property(key)})
		}
		var anyName []*jsonschema.Schema
		for _, p := range schema.PatternProperties {
			anyName = append(anyName, p)
		}
		if p, ok := schema.AdditionalProperties.(*jsonschema.Schema); ok {
			anyName = append(anyName, p)
		}
		for _, p := range allowed(append(anyName, schema.UnevaluatedProperties)) {
			places = append(places, place{join(path, "*"), expand(p)})
		}
		for i := range len(schema.PrefixItems) + 1 {
			places = append(places, place{path + "[]", n.element(i)})
		}
	}
	return places
}

// marshal writes a config back. Numbers keep their digits.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
