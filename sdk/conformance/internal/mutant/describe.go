package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// maxPayload is what the mutant says that it can deliver.
const maxPayload = 8 << 20

// Describe implements the Port.
func (s *service) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	d := &connectorv1.DescribeResponse{
		ConnectorType: "MUTANT_V1", Name: "Mutant", Version: "1.0.0", Vendor: "Orderport",
		Summary:      "Delivers orders as files, and is broken in one way.",
		ConfigSchema: s.schemaJSON(), ExportFormatVersions: []string{"orderflow_export_json_v1"},
		Capabilities: s.capabilities(),
		Limits:       &connectorv1.Limits{MaxPayloadBytes: maxPayload},
	}
	switch s.broken {
	case "prints-to-stdout":
		fmt.Fprintln(os.Stdout, "describing")
	case "describes-differently":
		d.Summary += " It is " + time.Now().String()
	case "slow-describe":
		time.Sleep(1800 * time.Millisecond)
	case "lower-case-type":
		d.ConnectorType = "mutant"
	case "untrimmed-name":
		d.Name += " "
	case "no-vendor":
		d.Vendor = ""
	case "no-semantic-version":
		d.Version = "v1"
	case "no-formats":
		d.ExportFormatVersions = nil
	case "other-version":
		d.Version = "1.0.1"
	}
	return d, nil
}

// capabilities: "plain" is a sound connector without any.
func (m *mutant) capabilities() []connectorv1.Capability {
	if m.is("plain") || m.is("unclaimed-acks") {
		return nil
	}
	return []connectorv1.Capability{
		connectorv1.Capability_CAPABILITY_ACKS, connectorv1.Capability_CAPABILITY_RESUME,
		connectorv1.Capability_CAPABILITY_FENCED,
	}
}

// schemaJSON returns the schema, or one with a fault.
func (m *mutant) schemaJSON() []byte {
	faults := map[string][2]string{
		"open-schema":         {`"additionalProperties": false`, `"additionalProperties": true`},
		"refers-elsewhere":    {`"type": "boolean"`, `"$ref": "https://schemas.example/flag.json"`},
		"no-description":      {`"description": "Where orders go.", `, ""},
		"wrong-default":       {`"default": 3`, `"default": "three"`},
		"secret-with-default": {`"token": {`, `"token": {"default": "guess", `},
		"unmarked-secret":     {`"description": "A secret that no target asks for.", "type": "string", "writeOnly": true`, `"type": "string"`},
		"looks-around":        {`"minLength": 1, "maxLength": 255}`, `"minLength": 1, "maxLength": 255, "pattern": "^\\u0041"}`},
		"narrower-schema":     {`"maximum": 10`, `"maximum": 5`},
	}
	fault, ok := faults[m.broken]
	if !ok {
		return configSchema
	}
	return []byte(strings.Replace(string(configSchema), fault[0], fault[1], 1))
}
