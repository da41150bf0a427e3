package configschema

import (
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// CheckSchema returns what is wrong with a config schema, none if it keeps the
// rules:
//
//   - it is a JSON Schema 2020-12 of at most 1 MiB that compiles and refers to
//     no other document;
//   - the root has "type": "object" and "additionalProperties": false;
//   - the root itself is not secret, and each "writeOnly" place has "type":
//     "string" and neither "default", "examples", "enum" nor "const", which
//     would show a secret to everybody who may see the schema.
//
// The path of a violation is that of the config's field.
func CheckSchema(schemaJSON []byte) []Violation {
	s, err := Compile(schemaJSON)
	if err != nil {
		return []Violation{{Message: "can't be checked: " + err.Error()}}
	}
	c := checker{}
	c.checkRoot(s.root)
	if !walk(s.rootNode(), c.checkPlace) {
		c.say("", fmt.Sprintf("must not describe more than %d places", maxPlaces))
	}
	r := report{violations: c.violations}
	return r.sorted()
}

type checker struct{ violations []Violation }

func (c *checker) say(path, message string) {
	c.violations = append(c.violations, Violation{Path: path, Message: message})
}

func (c *checker) checkRoot(root *jsonschema.Schema) {
	if !only(root, "object") {
		c.say("", `must have "type": "object" at the schema's root`)
	}
	if root.AdditionalProperties != false {
		c.say("", `must have "additionalProperties": false at the schema's root`)
	}
	if root.WriteOnly {
		c.say("", "must not be secret as a whole")
	}
}

func (c *checker) checkPlace(p place) {
	if p.path == "" || !p.node.secret() {
		return
	}
	if !slices.ContainsFunc(p.node, func(s *jsonschema.Schema) bool { return only(s, "string") }) {
		c.say(p.path, `is secret and must have "type": "string"`)
	}
	for _, schema := range p.node {
		if schema.Default != nil || len(schema.Examples) > 0 || schema.Enum != nil || schema.Const != nil {
			c.say(p.path, `is secret and must have no "default", "examples", "enum" or "const"`)
		}
	}
}

func only(schema *jsonschema.Schema, typeName string) bool {
	return schema.Types != nil && slices.Equal(schema.Types.ToStrings(), []string{typeName})
}
