package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/port"
)

//go:embed config.schema.json
var configSchema []byte

type config struct {
	Mode     string `json:"mode"`
	Dir      string `json:"dir"`
	AckDir   string `json:"ack_dir"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
	HostKey  string `json:"host_key"`
	Token    string `json:"token"`
	Retries  int    `json:"retries"`
	Verbose  bool   `json:"verbose"`
}

// schema compiles the schema once.
var schema = sync.OnceValues(func() (*configschema.Schema, error) { return configschema.Compile(configSchema) })

// decode checks and reads a config.
func (m *mutant) decode(connection *connectorv1.Connection) (config, *connectorv1.Error) {
	var c config
	s, err := schema()
	if err != nil {
		return c, fault(port.Internal, "the schema: %v", err)
	}
	if m.is("panics-on-nonsense") && !json.Valid(connection.GetConfig()) {
		panic("what is this?")
	}
	violations := m.overlook(s.Validate(connection.GetConfig()), connection.GetConfig())
	if len(violations) > 0 {
		e := fault(port.InvalidConfig, "the config is not valid: %s", violations[0])
		for _, v := range violations {
			e.Violations = append(e.Violations, &connectorv1.FieldViolation{Path: v.Path, Message: v.Message})
		}
		return c, e
	}
	if err := json.Unmarshal(connection.GetConfig(), &c); err != nil {
		return c, fault(port.InvalidConfig, "the config can't be read")
	}
	m.betray(c, connection.GetConfig())
	return c, nil
}

// overlook returns the violations that the mutant cares for.
func (m *mutant) overlook(violations []configschema.Violation, raw []byte) []configschema.Violation {
	if len(violations) == 0 {
		return nil
	}
	switch m.broken {
	case "trusts-config":
		return nil
	case "first-violation-only":
		return violations[:1]
	case "ignores-unknown-fields":
		return slices.DeleteFunc(violations, func(v configschema.Violation) bool {
			return strings.Contains(v.Message, "not a known field")
		})
	case "shows-wrong-value":
		violations[0].Message += ", not " + string(raw[:min(len(raw), 4000)])
	case "connects-before-checking":
		var c config
		if json.Unmarshal(raw, &c) == nil && c.Mode == "sftp" {
			if at, err := m.dial(context.Background(), c); err == nil {
				at.close()
			}
		}
	}
	return violations
}
