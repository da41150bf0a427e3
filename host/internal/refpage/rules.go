package refpage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// rulesOf puts what a schema says about several fields into sentences. What it
// has no words for is shown as it is: a rule is never left out.
func rulesOf(n node) []string {
	var rules []string
	dependent := n.child("dependentRequired")
	for _, key := range dependent.keys {
		var needed []string
		_ = json.Unmarshal(dependent.values[key], &needed)
		rules = append(rules, fmt.Sprintf("%s needs %s.", code(key), and(needed)))
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if !n.has(keyword) {
			continue
		}
		if keyword != "allOf" {
			rules = append(rules, sentence(consequence(node{keys: []string{keyword}, values: n.values})))
			continue
		}
		for _, part := range n.nodes(keyword) {
			rules = append(rules, partRules(part)...)
		}
	}
	if n.has("if") {
		rules = append(rules, conditional(n, "")...)
	}
	if n.has("not") {
		rules = append(rules, "Not allowed: "+condition(n.child("not"))+".")
	}
	return rules
}

func partRules(part node) []string {
	if part.has("if") {
		return conditional(part, "")
	}
	if part.has("allOf") || part.has("dependentRequired") {
		return rulesOf(part)
	}
	return []string{sentence(consequence(part))}
}

// conditional returns a sentence for "then" and one for "else", and those for
// what is nested in them.
func conditional(n node, above string) []string {
	var rules []string
	when := condition(n.child("if"))
	for _, branch := range []struct{ key, when string }{{"then", when}, {"else", negated(n.child("if"))}} {
		if !n.has(branch.key) {
			continue
		}
		full := branch.when
		if above != "" {
			full = above + ", and " + full
		}
		then := n.child(branch.key)
		if direct := consequence(then); direct != "" {
			rules = append(rules, fmt.Sprintf("If %s: %s.", full, direct))
		}
		if then.has("if") {
			rules = append(rules, conditional(then, full)...)
		}
		for _, part := range then.nodes("allOf") {
			if part.has("if") {
				rules = append(rules, conditional(part, full)...)
			} else {
				rules = append(rules, fmt.Sprintf("If %s: %s.", full, consequence(part)))
			}
		}
	}
	return rules
}

// condition puts the "if" of a rule into words.
func condition(n node) string {
	var parts []string
	properties := n.child("properties")
	for _, key := range n.texts("required") {
		if !properties.has(key) {
			parts = append(parts, code(key)+" is set")
		}
	}
	for _, key := range properties.keys {
		parts = append(parts, code(key)+" is "+allowedValue(properties.child(key)))
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		var choices []string
		for _, choice := range n.nodes(keyword) {
			choices = append(choices, condition(choice))
		}
		switch {
		case len(choices) == 0:
		case len(n.keys) == 1:
			parts = append(parts, strings.Join(choices, " or "))
		default:
			parts = append(parts, "("+strings.Join(choices, " or ")+")")
		}
	}
	for _, part := range n.nodes("allOf") {
		parts = append(parts, condition(part))
	}
	if n.has("not") {
		parts = append(parts, negated(n.child("not")))
	}
	if len(parts) == 0 || !n.only("required", "properties", "anyOf", "oneOf", "allOf", "not") {
		return raw(n)
	}
	return strings.Join(parts, " and ")
}

func allowedValue(p node) string {
	if p.has("const") || p.has("enum") {
		return strings.ReplaceAll(kind(p), "`, `", "` or `")
	}
	return "such: " + raw(p)
}

// negated is the opposite of a condition.
func negated(n node) string {
	text := condition(n)
	simple := n.only("required", "properties") && len(n.texts("required")) <= 1 && len(n.child("properties").keys) <= 1
	if !simple {
		return "it is not so that " + text
	}
	return strings.Replace(text, " is ", " is not ", 1)
}

// consequence puts what must then hold into words, without nested conditions;
// it is empty if there is nothing else.
func consequence(n node) string {
	var parts []string
	if required := n.texts("required"); len(required) > 0 {
		verb := " is required"
		if len(required) > 1 {
			verb = " are required"
		}
		parts = append(parts, and(required)+verb)
	}
	properties := n.child("properties")
	for _, key := range properties.keys {
		parts = append(parts, code(key)+" must be "+kindOrRaw(properties.child(key)))
	}
	for keyword, lead := range map[string]string{"oneOf": "exactly one of these is required: ", "anyOf": "at least one of these is required: "} {
		var choices []string
		for _, choice := range n.nodes(keyword) {
			choices = append(choices, choiceText(choice))
		}
		if len(choices) > 0 {
			parts = append(parts, lead+strings.Join(choices, ", or "))
		}
	}
	slices.Sort(parts)
	if !n.only("required", "properties", "oneOf", "anyOf", "allOf", "if", "then", "else", "not") {
		return raw(n)
	}
	if n.has("not") {
		parts = append(parts, "not allowed is: "+condition(n.child("not")))
	}
	return strings.Join(parts, "; ")
}

func kindOrRaw(p node) string {
	switch {
	case p.has("const"), p.has("enum"):
		return allowedValue(p)
	case p.has("type"):
		return kind(p)
	case p.only("pattern"):
		return "like " + code(p.text("pattern"))
	}
	return raw(p)
}

// choiceText names the fields of one way to satisfy a rule.
func choiceText(n node) string {
	properties := n.child("properties")
	if len(properties.keys) == 0 && n.only("required") {
		return and(n.texts("required"))
	}
	return condition(n)
}

func and(keys []string) string {
	quoted := make([]string, len(keys))
	for i, key := range keys {
		quoted[i] = code(key)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " and " + quoted[len(quoted)-1]
}

func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// raw shows a part of the schema as it is.
func raw(n node) string {
	parts := make([]string, len(n.keys))
	for i, key := range n.keys {
		parts[i] = fmt.Sprintf("%q: %s", key, value(n.values[key]))
	}
	return "`{" + strings.Join(parts, ", ") + "}`"
}
