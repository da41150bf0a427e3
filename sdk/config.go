package sdk

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
)

// Connection is one organization's configuration for this connector type. Its
// config holds secrets in the clear, so it prints as its ID only.
type Connection struct {
	// ID is stable across config changes. Empty: not saved yet.
	ID string
	// OrgSlug names the organization.
	OrgSlug string

	// A pointer, because fmt never follows one inside a struct.
	config *config
}

// NewConnection makes a Connection for a test. A config that the schema
// refuses shows in DecodeConfig; the error is about the schema.
func NewConnection(id, orgSlug string, schema, configJSON []byte) (Connection, error) {
	compiled, err := configschema.Compile(schema)
	if err != nil {
		return Connection{}, fmt.Errorf("compile config schema: %w", err)
	}
	return Connection{ID: id, OrgSlug: orgSlug, config: newConfig(compiled, configJSON)}, nil
}

// RawConfig returns the config's JSON, with secrets in the clear. Not to be
// changed. Prefer DecodeConfig.
func (c Connection) RawConfig() []byte {
	if c.config == nil {
		return nil
	}
	return c.config.raw
}

// ConfigKey identifies the config within this process: two connections with
// the same bytes have the same key, other bytes another one. It tells nothing
// about the config and suits as the key of a pool of sessions.
func (c Connection) ConfigKey() string {
	if c.config == nil {
		return ""
	}
	return c.config.key()
}

// String returns the ID.
func (c Connection) String() string { return "connection " + c.ID }

// GoString returns the ID.
func (c Connection) GoString() string { return c.String() }

// Format writes the ID for every verb.
func (c Connection) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns ID and organization.
func (c Connection) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", c.ID), slog.String("org", c.OrgSlug))
}

// DecodeConfig decodes the connection's config into a T, after a check against
// the schema of Describe. Properties that are absent and have a "default" in
// the schema get it. A config that is wrong is an INVALID_CONFIG error with a
// violation for each wrong field.
//
// The decoded T is kept and shared by all calls with the same config bytes:
// what its slices, maps and pointers refer to must not be changed.
func DecodeConfig[T any](c Connection) (T, error) {
	var zero T
	if c.config == nil {
		return zero, Errorf(InvalidConfig, "the connection has no config")
	}
	if err := c.config.check(); err != nil {
		return zero, err
	}
	key := reflect.TypeFor[T]()
	if v, ok := c.config.decoded.Load(key); ok {
		return v.(T), nil
	}
	var value T
	if err := c.config.decode(&value); err != nil {
		return zero, err
	}
	c.config.decoded.Store(key, value)
	return value, nil
}

// config is one config's bytes and all that follows from them.
type config struct {
	raw        []byte
	schema     *configschema.Schema
	violations []Violation
	decoded    sync.Map // reflect.Type → value of that type

	redactor func() *strings.Replacer
	key      func() string
}

func newConfig(schema *configschema.Schema, raw []byte) *config {
	c := &config{raw: bytes.Clone(raw), schema: schema, violations: schema.Validate(raw)}
	c.redactor = sync.OnceValue(func() *strings.Replacer {
		return configschema.NewRedactor(schema.SecretValues(c.raw), redacted)
	})
	c.key = sync.OnceValue(func() string {
		sum := sha256.Sum256(append(processSalt(), c.raw...))
		return hex.EncodeToString(sum[:])
	})
	return c
}

// processSalt keeps a ConfigKey that ended up in a log from telling anybody
// who guesses a password that the guess is right.
var processSalt = sync.OnceValue(func() []byte {
	salt := make([]byte, sha256.Size)
	_, _ = rand.Read(salt) // never fails
	return salt[:len(salt):len(salt)]
})

func (c *config) check() error {
	if len(c.violations) == 0 {
		return nil
	}
	e := Errorf(InvalidConfig, "the config is not valid: %s", summary(c.violations))
	e.Violations = c.violations
	return e
}

func summary(violations []Violation) string {
	const shown = 3
	var parts []string
	for _, v := range violations[:min(shown, len(violations))] {
		parts = append(parts, v.String())
	}
	if more := len(violations) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

func (c *config) decode(target any) error {
	filled, err := c.schema.WithDefaults(c.raw)
	if err != nil {
		return Errorf(Internal, "fill in the config's defaults: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(filled))
	dec.DisallowUnknownFields()
	err = dec.Decode(target)
	if err == nil {
		return nil
	}
	return decodeError(err)
}

// decodeError says what is wrong without the text of err, which may quote a
// value.
func decodeError(err error) error {
	e := &Error{Code: InvalidConfig, Message: "the config is valid, but does not fit the connector"}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		e.Violations = []Violation{{Path: mismatch.Field, Message: "does not fit into " + mismatch.Type.String()}}
	} else if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		e.Violations = []Violation{{Path: strings.Trim(field, `"`), Message: "is in the schema, but unknown to the connector"}}
	}
	return e
}

// Redact replaces the config's secret values in a text by a placeholder, also
// where they stand in base64, in hex, in a URL or in JSON. The SDK does that by
// itself to errors, steps, progress and metadata; use it for text that goes
// elsewhere. Values of less than four bytes are left alone: they would make any
// text unreadable.
func (c Connection) Redact(text string) string {
	if c.config == nil || text == "" {
		return text
	}
	return c.config.redactor().Replace(text)
}

// configs keeps what was worked out for the configs seen last, so that a
// connection that exports thousands of orders is validated and decoded once.
type configs struct {
	schema *configschema.Schema

	mu      sync.Mutex
	entries map[string]*config // by raw bytes
}

const maxConfigs = 2048

func (c *configs) connection(p *connectorv1.Connection) Connection {
	return Connection{ID: p.GetId(), OrgSlug: p.GetOrgSlug(), config: c.lookup(p.GetConfig())}
}

func (c *configs) lookup(raw []byte) *config {
	c.mu.Lock()
	entry, ok := c.entries[string(raw)]
	c.mu.Unlock()
	if ok {
		return entry
	}
	entry = newConfig(c.schema, raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	if earlier, ok := c.entries[string(raw)]; ok {
		return earlier
	}
	if len(c.entries) >= maxConfigs {
		for key := range c.entries { // any one: the map's order is random
			delete(c.entries, key)
			break
		}
	}
	if c.entries == nil {
		c.entries = make(map[string]*config)
	}
	c.entries[string(raw)] = entry
	return entry
}
