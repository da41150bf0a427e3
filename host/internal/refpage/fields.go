package refpage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// fields writes one row for each property, in the schema's order.
func fields(b *strings.Builder, root node) {
	b.WriteString("| field | value | default | meaning |\n| --- | --- | --- | --- |\n")
	walk(b, root, "")
}

func walk(b *strings.Builder, parent node, prefix string) {
	properties := parent.child("properties")
	required := parent.texts("required")
	for _, key := range properties.keys {
		p := properties.child(key)
		name := prefix + key
		var marks []string
		if slices.Contains(required, key) {
			marks = append(marks, "**required**")
		}
		if p.flag("writeOnly") {
			marks = append(marks, "**secret**")
		}
		meaning := cell(p.text("description"))
		if title := cell(p.text("title")); title != "" {
			meaning = strings.TrimSpace(title + ". " + meaning)
		}
		if len(marks) > 0 {
			meaning = strings.Join(marks, ", ") + ". " + meaning
		}
		byDefault := ""
		if p.has("default") {
			byDefault = code(value(p.values["default"]))
		}
		row(b, code(name), kind(p), byDefault, meaning)
		walk(b, p, name+".")
		if items := p.child("items"); items.has("properties") {
			walk(b, items, name+"[].")
		}
	}
}

// kind says what may be entered.
func kind(p node) string {
	switch {
	case p.has("enum"):
		var values []json.RawMessage
		_ = json.Unmarshal(p.values["enum"], &values)
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = value(v)
		}
		return codes(texts)
	case p.has("const"):
		return code(value(p.values["const"]))
	}
	parts := []string{typeName(p)}
	if bounds := bounds(p); bounds != "" {
		parts = append(parts, bounds)
	}
	if format := p.text("format"); format != "" {
		parts = append(parts, cell(format))
	}
	if pattern := p.text("pattern"); pattern != "" {
		parts = append(parts, "like "+code(pattern))
	}
	return strings.Join(parts, ", ")
}

func typeName(p node) string {
	name := p.text("type")
	if list := p.texts("type"); len(list) > 0 {
		name = strings.Join(list, " or ")
	}
	switch name {
	case "string":
		return "text"
	case "integer":
		return "whole number"
	case "boolean":
		return "`true` or `false`"
	case "array":
		return "list of " + kind(p.child("items"))
	case "object":
		if each := p.child("additionalProperties"); len(each.keys) > 0 {
			return "object, each value " + kind(each)
		}
	case "":
		return "any value"
	}
	return name
}

func bounds(p node) string {
	for _, b := range []struct{ least, most, unit string }{
		{"minimum", "maximum", ""}, {"minLength", "maxLength", " characters"}, {"minItems", "maxItems", " items"},
	} {
		least, most := value(p.values[b.least]), value(p.values[b.most])
		switch {
		case least != "" && least == most:
			return "exactly " + least + b.unit
		case least != "" && most != "":
			return fmt.Sprintf("%s to %s%s", least, most, b.unit)
		case least != "":
			return "at least " + least + b.unit
		case most != "":
			return "at most " + most + b.unit
		}
	}
	return ""
}
