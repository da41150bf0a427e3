package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/orderport/orderport/sdk/configschema"
)

// Mark takes a secret's place.
const Mark = "[secret]"

// ErrShortSecret says that a call can't be recorded: one of the config's
// secrets is so short that it can't be told from ordinary text.
var ErrShortSecret = errors.New("a secret of the config has less than four bytes, so it could not be kept out of a recording")

const shortestSecret = 4

// Secrets knows what must not get into a recording.
type Secrets struct {
	schema *configschema.Schema
	hide   func(string) string
}

// NewSecrets returns what is secret in a config. more, if not nil, hides
// further secrets in a text, such as those of other connections.
func NewSecrets(schema *configschema.Schema, config []byte, more func(string) string) (Secrets, error) {
	values := schema.SecretValues(config)
	for _, value := range values {
		if len(strings.TrimSpace(value)) < shortestSecret {
			return Secrets{}, ErrShortSecret
		}
	}
	replacer := configschema.NewRedactor(values, Mark)
	hide := replacer.Replace
	if more != nil {
		hide = func(text string) string { return more(replacer.Replace(text)) }
	}
	return Secrets{schema: schema, hide: hide}, nil
}

// encode returns a message as JSON without secrets, or why it can't be shown.
func (s Secrets) encode(m proto.Message) (_ json.RawMessage, omitted string) {
	m = proto.Clone(m)
	if c := connectionOf(m); c != nil {
		shown, err := s.schema.Redact(c.GetConfig())
		if err != nil {
			shown = []byte("{}")
		}
		c.Config = shown
	}
	s.clean(m.ProtoReflect())
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, "it can't be written as JSON"
	}
	// Once more over the whole: what takes a form only in JSON.
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(s.hide(string(data)))); err != nil {
		return nil, "it can't be shown without secrets"
	}
	return out.Bytes(), ""
}

// clean hides secrets in every text and every run of bytes of a message.
func (s Secrets) clean(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			s.cleanMap(field, value.Map())
		case field.IsList():
			list := value.List()
			for i := range list.Len() {
				if changed, ok := s.cleanValue(field.Kind(), list.Get(i)); ok {
					list.Set(i, changed)
				}
			}
		default:
			if changed, ok := s.cleanValue(field.Kind(), value); ok {
				m.Set(field, changed)
			}
		}
		return true
	})
	m.SetUnknown(nil) // nobody can say what is in there
}

func (s Secrets) cleanMap(field protoreflect.FieldDescriptor, entries protoreflect.Map) {
	type pair struct {
		key   protoreflect.MapKey
		value protoreflect.Value
	}
	var all []pair
	entries.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		all = append(all, pair{key, value})
		return true
	})
	for _, p := range all {
		entries.Clear(p.key)
		if field.MapKey().Kind() == protoreflect.StringKind {
			p.key = protoreflect.ValueOfString(s.hide(p.key.String())).MapKey()
		}
		if changed, ok := s.cleanValue(field.MapValue().Kind(), p.value); ok {
			p.value = changed
		}
		entries.Set(p.key, p.value)
	}
}

// cleanValue returns what to put in the value's place, if anything; messages
// are changed where they are.
func (s Secrets) cleanValue(kind protoreflect.Kind, value protoreflect.Value) (protoreflect.Value, bool) {
	switch kind {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.ToValidUTF8(s.hide(value.String()), "\uFFFD")), true
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(s.hide(string(value.Bytes())))), true
	case protoreflect.MessageKind, protoreflect.GroupKind:
		s.clean(value.Message())
	default:
	}
	return value, false
}
