// Package refpage writes the reference page of a connector, in Markdown, from
// what the connector says of itself. Nothing on it is written by hand, so it is
// true of the binary that it was made from; the version is left out, so that a
// release that changes nothing for operators changes no page.
package refpage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// Write returns the page.
func Write(d *connectorv1.DescribeResponse) (string, error) {
	root, err := parse(d.GetConfigSchema())
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Made by `orderport connector docs`; changes by hand are lost. -->\n\n# %s: reference\n\n%s\n\n", d.GetName(), d.GetSummary())
	b.WriteString("| | |\n| --- | --- |\n")
	row(&b, "connector type", code(d.GetConnectorType()))
	row(&b, "vendor", cell(d.GetVendor()))
	row(&b, "capabilities", cell(capabilities(d)))
	row(&b, "formats", codes(d.GetExportFormatVersions()))
	limits(&b, d.GetLimits())
	if url := d.GetDocumentationUrl(); url != "" {
		row(&b, "documentation", cell(url))
	}
	b.WriteString("\n## Config\n\n")
	if text := root.text("description"); text != "" {
		b.WriteString(cell(text) + "\n\n")
	}
	fields(&b, root)
	if rules := rulesOf(root); len(rules) > 0 {
		b.WriteString("\n## Rules between fields\n\n")
		for _, rule := range rules {
			b.WriteString("- " + rule + "\n")
		}
	}
	b.WriteString("\nFields that are secret are sealed when they are stored, and never shown again. Unknown fields are refused.\n")
	return b.String(), nil
}

func capabilities(d *connectorv1.DescribeResponse) string {
	known := map[connectorv1.Capability]string{
		connectorv1.Capability_CAPABILITY_ACKS:   "acks: reads the ERP's answers",
		connectorv1.Capability_CAPABILITY_RESUME: "resume: an export whose outcome is unknown is run again, and delivers once",
		connectorv1.Capability_CAPABILITY_FENCED: "fenced: another host takes an export over at once",
	}
	var texts []string
	for _, c := range d.GetCapabilities() {
		if text, ok := known[c]; ok {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, "; ")
}

func limits(b *strings.Builder, l *connectorv1.Limits) {
	for _, limit := range []struct {
		name  string
		value uint64
	}{
		{"exports at one time, per connection", uint64(l.GetMaxInFlightPerConnection())},
		{"exports at one time, in all", uint64(l.GetMaxInFlight())},
		{"largest payload in bytes", l.GetMaxPayloadBytes()},
	} {
		if limit.value > 0 {
			row(b, limit.name, fmt.Sprint(limit.value))
		}
	}
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// cell makes a text fit for one cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

func code(text string) string { return "`" + strings.ReplaceAll(text, "|", `\|`) + "`" }

func codes(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = code(text)
	}
	return strings.Join(quoted, ", ")
}

// node is a JSON object that keeps the order of its members.
type node struct {
	keys   []string
	values map[string]json.RawMessage
}

func parse(raw []byte) (node, error) {
	n := node{values: map[string]json.RawMessage{}}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return n, errors.New("the config schema is not a JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return n, fmt.Errorf("read the config schema: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return n, fmt.Errorf("read the config schema: %w", err)
		}
		n.keys = append(n.keys, key.(string))
		n.values[key.(string)] = value
	}
	return n, nil
}

func (n node) has(key string) bool { _, ok := n.values[key]; return ok }

// only says whether the object has these members and no others.
func (n node) only(keys ...string) bool {
	return !slices.ContainsFunc(n.keys, func(k string) bool { return !slices.Contains(keys, k) })
}

func (n node) child(key string) node {
	c, err := parse(n.values[key])
	if err != nil {
		return node{}
	}
	return c
}

func (n node) text(key string) string {
	var text string
	_ = json.Unmarshal(n.values[key], &text)
	return text
}

func (n node) flag(key string) bool {
	var set bool
	_ = json.Unmarshal(n.values[key], &set)
	return set
}

func (n node) texts(key string) []string {
	var list []string
	_ = json.Unmarshal(n.values[key], &list)
	return list
}

func (n node) nodes(key string) []node {
	var raw []json.RawMessage
	_ = json.Unmarshal(n.values[key], &raw)
	var list []node
	for _, r := range raw {
		if c, err := parse(r); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// value returns a JSON value as it is entered.
func value(raw json.RawMessage) string { return strings.Join(strings.Fields(string(raw)), " ") }
