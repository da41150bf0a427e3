package app

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"

	"github.com/orderport/orderport/sdk/configschema"

	"github.com/orderport/orderport/host/internal/fault"
)

// shortestSecret is the shortest secret that is looked for in a connector's
// texts: taking out shorter ones would garble every message.
const shortestSecret = 4

// schemas compiles each connector's config schema once.
type schemas struct {
	mu    sync.Mutex
	known map[string]*schema // by connector type; guarded by mu
}

// schema is a connector's config schema, with faults as the API shows them.
type schema struct {
	source   []byte
	compiled *configschema.Schema
}

// of returns the schema of a type; source tells a new version of the connector.
func (s *schemas) of(connectorType string, source []byte) (*schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.known[connectorType]; ok && bytes.Equal(found.source, source) {
		return found, nil
	}
	compiled, err := configschema.Compile(source)
	if err != nil {
		return nil, err
	}
	if s.known == nil {
		s.known = map[string]*schema{}
	}
	made := &schema{source: bytes.Clone(source), compiled: compiled}
	s.known[connectorType] = made
	return made, nil
}

// check returns the config as it is to be sealed, or Invalid "invalid_config"
// with every wrong field, as paths of the request.
func (s *schema) check(config json.RawMessage) (json.RawMessage, error) {
	wrong := fault.New(fault.Invalid, "invalid_config", "the config is not valid")
	if len(config) == 0 || string(config) == "null" {
		return nil, wrong.WithField("config", "is required")
	}
	if violations := s.compiled.Validate(config); len(violations) > 0 {
		for _, v := range violations {
			_ = wrong.WithField(configPath(v.Path), "%s", v.Message)
		}
		return nil, wrong
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, config); err != nil {
		return nil, wrong.WithField("config", "is not JSON")
	}
	return compact.Bytes(), nil
}

func configPath(path string) string {
	switch {
	case path == "":
		return "config"
	case strings.HasPrefix(path, "["):
		return "config" + path
	default:
		return "config." + path
	}
}

// redact returns the config without its secrets.
func (s *schema) redact(config []byte) (json.RawMessage, error) {
	return s.compiled.Redact(config)
}

// keepSecrets fills the secrets that updated leaves out. A config that can't be
// merged is returned as it is, for check to say what is wrong with it.
func (s *schema) keepSecrets(updated json.RawMessage, stored []byte) json.RawMessage {
	merged, err := s.compiled.KeepSecrets(stored, updated)
	if err != nil {
		return updated
	}
	return merged
}

// hider returns a function that takes the config's secrets out of a text. A
// connector should not print them; this host makes sure that they go no further.
func (s *schema) hider(config []byte) func(string) string {
	var pairs []string
	for _, secret := range s.compiled.SecretValues(config) {
		if len(secret) >= shortestSecret {
			pairs = append(pairs, secret, "[secret]")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
