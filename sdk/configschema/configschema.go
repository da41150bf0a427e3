// Package configschema checks a connection's config against the JSON Schema
// that its connector describes, and knows which values in it are secret. The
// host and the SDK use it alike, so both say the same about a config.
//
// A config schema is JSON Schema 2020-12 with a few rules of its own, see
// CheckSchema: the root is a closed object, and a secret is a string property
// with "writeOnly": true. The keyword "format" is checked.
//
// No text that this package returns holds a value out of a config.
package configschema

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Violation names one wrong field of a config by its path, such as "host",
// "retry.max" or "lines[2].qty". The path of the whole config is empty.
type Violation struct {
	Path    string `json:"path"`
	Message string `json:"message"` // such as "is required"; never a value
}

// String returns path and message in one phrase.
func (v Violation) String() string {
	if v.Path == "" {
		return "the config " + v.Message
	}
	return v.Path + " " + v.Message
}

// Schema is a compiled config schema. It is safe for concurrent use.
type Schema struct {
	root *jsonschema.Schema
	doc  any // the schema itself, parsed
}

const (
	maxSchema = 1 << 20
	maxConfig = 1 << 20
	draft     = "https://json-schema.org/draft/2020-12/schema"
	location  = "https://orderport.invalid/config.json"
)

// Compile reads a config schema. It does not insist on the rules that
// CheckSchema checks.
func Compile(schemaJSON []byte) (*Schema, error) {
	if len(schemaJSON) > maxSchema {
		return nil, fmt.Errorf("the schema is larger than %d bytes", maxSchema)
	}
	doc, err := parse(schemaJSON)
	if err != nil {
		return nil, fmt.Errorf("the schema %w", err)
	}
	if object, ok := doc.(map[string]any); ok {
		if named, ok := object["$schema"]; ok && named != draft && named != draft+"#" {
			return nil, errors.New("the schema's $schema must be " + draft)
		}
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(compileRegexp)
	if err := compiler.AddResource(location, doc); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	root, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compile the schema: %w", err)
	}
	return &Schema{root: root, doc: doc}, nil
}

// noLoader keeps a schema from making the host read a file or a URL.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema must not refer to another document")
}

func compileRegexp(pattern string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	return compiled, nil
}

// Validate returns every violation of the schema, ordered by path; none means
// that the config is valid. A config that is not one JSON object in UTF-8 with
// unique keys has the one violation that says so, with an empty path.
func (s *Schema) Validate(configJSON []byte) []Violation {
	config, err := parseConfig(configJSON)
	if err != nil {
		return []Violation{{Message: err.Error()}}
	}
	return s.validate(config)
}

func (s *Schema) validate(config any) []Violation {
	err := s.root.Validate(config)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []Violation{{Message: "can't be checked against the schema"}}
	}
	r := report{config: config, doc: s.doc}
	r.add(invalid)
	return r.sorted()
}

func parseConfig(configJSON []byte) (map[string]any, error) {
	if len(configJSON) > maxConfig {
		return nil, fmt.Errorf("is larger than %d bytes", maxConfig)
	}
	value, err := parse(configJSON)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("must be a JSON object")
	}
	return object, nil
}
