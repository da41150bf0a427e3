package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orderport/orderport/host/internal/fault"
)

// readFile reads the YAML file, if there is one: a mapping of keys to plain
// values. It returns everything that is wrong with it, with line numbers.
func (src Sources) readFile() (map[string]given, problems) {
	path := src.configFile()
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, problems{{Path: "config", Message: "can't be read: " + err.Error()}}
	}
	r := fileReader{name: filepath.Base(path), values: make(map[string]given)}
	root, err := parseYAML(data)
	if err != nil {
		// The parser's message does not show values, only where it stumbled.
		r.wrong = append(r.wrong, fault.Violation{Path: r.name, Message: err.Error()})
	} else if root != nil {
		r.mapping(root)
	}
	return r.values, r.wrong
}

// parseYAML returns the root of the one document in data; nil if it is empty.
func parseYAML(data []byte) (*yaml.Node, error) {
	var doc, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more than one document")
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

// fileReader turns YAML nodes into settings.
type fileReader struct {
	name   string
	values map[string]given
	wrong  problems
}

func (r *fileReader) fail(at *yaml.Node, format string, args ...any) {
	r.wrong = append(r.wrong, fault.Violation{
		Path:    fmt.Sprintf("%s:%d", r.name, at.Line),
		Message: fmt.Sprintf(format, args...),
	})
}

func (r *fileReader) mapping(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		r.fail(root, "must be a mapping of settings to values")
		return
	}
	known := make(map[string]bool)
	for _, f := range Fields() {
		known[f.Key] = true
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !known[key.Value] {
			r.fail(key, "%q is not a setting", key.Value)
			continue
		}
		if _, twice := r.values[key.Value]; twice {
			r.fail(key, "%s is set twice", key.Value)
			continue
		}
		if text, ok := r.scalar(key.Value, value); ok {
			r.values[key.Value] = given{text: text, origin: fmt.Sprintf("%s:%d", r.name, key.Line)}
		}
	}
}

// scalar returns the text of a value; a list of texts is joined by commas.
func (r *fileReader) scalar(key string, value *yaml.Node) (string, bool) {
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag == "!!null", value.Kind == yaml.ScalarNode && value.Value == "":
		r.fail(value, "%s has no value", key)
		return "", false
	case value.Kind == yaml.ScalarNode:
		return value.Value, true
	case value.Kind == yaml.SequenceNode && key == "encryption_previous_keys":
		var parts []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode || item.Value == "" {
				r.fail(item, "%s must be a list of texts", key)
				return "", false
			}
			parts = append(parts, item.Value)
		}
		return strings.Join(parts, ","), true
	default:
		r.fail(value, "%s must be a plain value", key)
		return "", false
	}
}
