package configschema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// report turns the validator's tree of errors into violations. What it says
// comes from the schema and from the names in the config, never from a value.
type report struct {
	config     any
	doc        any // the schema
	violations []Violation
}

func (r *report) say(path, format string, args ...any) {
	r.violations = append(r.violations, Violation{Path: path, Message: fmt.Sprintf(format, args...)})
}

// sorted returns each violation once, ordered by path.
func (r *report) sorted() []Violation {
	slices.SortFunc(r.violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(r.violations)
}

func (r *report) add(e *jsonschema.ValidationError) {
	path := r.path(e.InstanceLocation)
	when := r.condition(e.SchemaURL)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			r.say(join(path, name), "is required%s", when)
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			r.say(join(path, name), "is required when %s is set", join(path, k.Prop))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			r.say(join(path, name), "is not a known field%s", when)
		}
	case *kind.PropertyNames:
		r.say(join(path, k.Property), "has a name that is not allowed")
	case *kind.AnyOf:
		r.addChoice(path, when, e.Causes)
	case *kind.OneOf:
		if len(k.Subschemas) > 1 {
			r.addExclusive(path, when, e.SchemaURL, k.Subschemas)
		} else {
			r.addChoice(path, when, e.Causes)
		}
	default:
		if len(e.Causes) == 0 {
			r.say(path, "%s%s", complaint(e.ErrorKind), when)
		}
		for _, cause := range e.Causes {
			r.add(cause)
		}
	}
}

// complaint says what is wrong with a value, without the value.
func complaint(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + alternatives(k.Want, article)
	case *kind.Enum:
		return "must be one of " + strings.Join(quoteAll(k.Want), ", ")
	case *kind.Const:
		return "must be " + quote(k.Want)
	case *kind.Format:
		return "must be a valid " + k.Want
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.MinLength:
		return "must have at least " + count(k.Want, "character")
	case *kind.MaxLength:
		return "must have at most " + count(k.Want, "character")
	case *kind.MinItems:
		return "must have at least " + count(k.Want, "element")
	case *kind.MaxItems:
		return "must have at most " + count(k.Want, "element")
	case *kind.MinProperties:
		return "must have at least " + count(k.Want, "field")
	case *kind.MaxProperties:
		return "must have at most " + count(k.Want, "field")
	case *kind.UniqueItems:
		return fmt.Sprintf("must not have equal elements (%d and %d)", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return "does not have the elements that it must have"
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "has a value or fields that are not allowed"
	default:
		return rangeComplaint(k)
	}
}

func rangeComplaint(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Minimum:
		return "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be greater than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + decimal(k.Want)
	default:
		return "is not valid"
	}
}

// addChoice reports that no branch of an anyOf or oneOf fits. A branch that
// fails on a const or enum is not the one that was meant, unless all do.
func (r *report) addChoice(path, when string, branches []*jsonschema.ValidationError) {
	meant := slices.DeleteFunc(slices.Clone(branches), wrongVariant)
	if len(meant) == 1 {
		r.add(meant[0])
		return
	}
	var names []string
	for _, branch := range branches {
		missing, ok := branch.ErrorKind.(*kind.Required)
		if !ok {
			names = nil
			break
		}
		names = append(names, strings.Join(missing.Missing, " with "))
	}
	switch {
	case len(names) > 0:
		first := branches[0].ErrorKind.(*kind.Required).Missing[0]
		r.say(join(path, first), "is required%s, or instead one of: %s", when, strings.Join(names[1:], ", "))
	case len(branches) > 0 && len(meant) == 0:
		for _, branch := range branches {
			r.addVariant(branch)
		}
	default:
		r.say(path, "fits none of the allowed variants%s", when)
	}
}

// wrongVariant says whether a branch fails where a const or an enum tells the
// branches apart.
func wrongVariant(e *jsonschema.ValidationError) bool {
	switch e.ErrorKind.(type) {
	case *kind.Const, *kind.Enum:
		return true
	case *kind.Group, *kind.Reference, *kind.AllOf:
		return slices.ContainsFunc(e.Causes, wrongVariant)
	default:
		return false
	}
}

// addVariant reports only the const or enum at which a branch fails.
func (r *report) addVariant(e *jsonschema.ValidationError) {
	switch e.ErrorKind.(type) {
	case *kind.Const, *kind.Enum:
		r.say(r.path(e.InstanceLocation), "%s, or another allowed variant", complaint(e.ErrorKind))
	default:
		for _, cause := range e.Causes {
			r.addVariant(cause)
		}
	}
}

// addExclusive reports that two branches of a oneOf fit at once.
func (r *report) addExclusive(path, when, schemaURL string, branches []int) {
	var names []string
	for _, i := range branches {
		required, _ := lookup(r.doc, append(pointer(schemaURL), "oneOf", strconv.Itoa(i), "required")).([]any)
		if len(required) == 0 {
			r.say(path, "fits more than one of the allowed variants%s", when)
			return
		}
		name, _ := required[0].(string)
		names = append(names, join(path, name))
	}
	r.say(names[1], "can't be given together with %s%s", names[0], when)
}

// condition says under which condition a schema below a "then" or "else"
// applies, such as ` when mode is "sftp"`, or nothing if that can't be told.
func (r *report) condition(schemaURL string) string {
	at := pointer(schemaURL)
	i := max(slices.Index(at, "then"), slices.Index(at, "else"))
	if i < 0 {
		return ""
	}
	properties, _ := lookup(r.doc, append(slices.Clone(at[:i]), "if", "properties")).(map[string]any)
	var parts []string
	for name, property := range properties {
		if value := lookup(property, []string{"const"}); value != nil {
			parts = append(parts, name+" is "+quote(value))
		} else if values, ok := lookup(property, []string{"enum"}).([]any); ok {
			parts = append(parts, name+" is one of "+strings.Join(quoteAll(values), ", "))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	text := strings.Join(parts, " and ")
	if at[i] == "else" {
		return " unless " + text
	}
	return " when " + text
}

// pointer splits the fragment of a schema's URL.
func pointer(schemaURL string) []string {
	_, fragment, _ := strings.Cut(schemaURL, "#")
	fragment, err := url.PathUnescape(fragment)
	if err != nil || !strings.HasPrefix(fragment, "/") {
		return nil
	}
	parts := strings.Split(fragment[1:], "/")
	for i, part := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return parts
}

func lookup(doc any, at []string) any {
	for _, part := range at {
		switch value := doc.(type) {
		case map[string]any:
			doc = value[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(value) {
				return nil
			}
			doc = value[i]
		default:
			return nil
		}
	}
	return doc
}

// path writes an instance location the way people do. The config tells indices
// from names.
func (r *report) path(location []string) string {
	path, value := "", r.config
	for _, part := range location {
		switch container := value.(type) {
		case []any:
			path += "[" + part + "]"
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(container) {
				return path
			}
			value = container[i]
		case map[string]any:
			path = join(path, part)
			value = container[part]
		default:
			return path
		}
	}
	return path
}

// join appends a field name to a path. An odd name is quoted, and a long one
// cut: it may be a value that ended up in the wrong place.
func join(path, name string) string {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if name == "" || strings.ContainsFunc(name, odd) {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func odd(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`.[]"`, r) }

func quote(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "the value in the schema"
	}
	return string(text)
}

func quoteAll(values []any) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = quote(value)
	}
	return texts
}

func alternatives(words []string, each func(string) string) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = each(word)
	}
	return strings.Join(texts, " or ")
}

func article(typeName string) string {
	switch typeName {
	case "null":
		return typeName
	case "array", "integer", "object":
		return "an " + typeName
	case "boolean":
		return "true or false"
	default:
		return "a " + typeName
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// decimal writes a bound as exactly as a person needs it.
func decimal(bound *big.Rat) string {
	if bound.IsInt() {
		return bound.Num().String()
	}
	digits, exact := bound.FloatPrec()
	if !exact {
		return bound.String()
	}
	return bound.FloatString(digits)
}
