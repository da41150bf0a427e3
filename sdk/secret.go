package sdk

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Secret is a config value that can't be printed by accident: formatting,
// marshalling and logging show a placeholder, also when it sits in an
// unexported field (SEC-01). The zero Secret is empty.
type Secret struct {
	// A pointer, because fmt prints unexported fields without asking their
	// methods, but never follows a pointer inside a struct.
	value *string
}

const redacted = "[secret]"

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value in the clear.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty says whether there is no value, or an empty one.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Equal says whether both hold the same value.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns a placeholder.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder.
func (s Secret) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns a placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText returns a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the value.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
