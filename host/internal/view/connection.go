package view

import (
	"encoding/json"
	"strings"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/domain"
)

// Connection is one organization's configuration for one connector type.
type Connection struct {
	ID            string          `json:"id" format:"uuid"`
	OrgID         string          `json:"org_id" format:"uuid"`
	ConnectorType string          `json:"connector_type" example:"DROPZONE_JSON_V1"`
	Status        string          `json:"status" enum:"ACTIVE,DISABLED"`
	LastTestAt    *string         `json:"last_test_at" format:"date-time"`
	Health        Health          `json:"health"`
	Config        json.RawMessage `json:"config" doc:"Secrets left out. Null if the config can't be shown: its connector is not there, or it does not open with any known key."`
	CreatedAt     string          `json:"created_at" format:"date-time"`
	UpdatedAt     string          `json:"updated_at" format:"date-time"`
	Test          *TestResult     `json:"test,omitempty" doc:"Only in the answer to a change with test_on_save."`
}

// Health is what the host knows about a connection's target.
type Health struct {
	State       string  `json:"state" enum:"UNKNOWN,HEALTHY,DOWN" doc:"UNKNOWN: not used yet. DOWN: exports wait, the host keeps probing."`
	Code        *string `json:"code" doc:"Why it is down."`
	Reason      *string `json:"reason" doc:"Why it is down, for a person."`
	Since       *string `json:"since" format:"date-time"`
	NextProbeAt *string `json:"next_probe_at" format:"date-time"`
}

// NewConnection shows a connection with the config given, which must not hold
// secrets; nil is shown as null.
func NewConnection(c domain.Connection, redacted json.RawMessage) Connection {
	h := c.Health
	state := h.State
	if state == "" {
		state = domain.HealthUnknown
	}
	return Connection{
		ID: c.ID.String(), OrgID: c.OrgID.String(), ConnectorType: c.ConnectorType, Status: string(c.Status),
		LastTestAt: optionalTime(c.LastTestAt),
		Health: Health{
			State: string(state), Code: text(string(h.Code)), Reason: text(h.Reason),
			Since: optionalTime(h.Since), NextProbeAt: optionalTime(h.NextProbeAt),
		},
		Config: redacted, CreatedAt: Time(c.CreatedAt), UpdatedAt: Time(c.UpdatedAt),
	}
}

// TestResult is the verdict on a config.
type TestResult struct {
	Success   bool       `json:"success"`
	Error     *TestError `json:"error"`
	LatencyMS int64      `json:"latency_ms"`
	Steps     []TestStep `json:"steps" nullable:"false" doc:"In the order in which they were tried."`
}

// TestError is why a test failed.
type TestError struct {
	Code    string `json:"code" example:"AUTHENTICATION_FAILED"`
	Message string `json:"message"`
}

// TestStep is one step of a test.
type TestStep struct {
	Name      string `json:"name" example:"connect"`
	Success   bool   `json:"success"`
	Message   string `json:"message"`
	LatencyMS int64  `json:"latency_ms"`
}

// ConnectorType is a connector that connections can use.
type ConnectorType struct {
	ConnectorType        string          `json:"connector_type" example:"DROPZONE_JSON_V1"`
	Name                 string          `json:"name"`
	Version              string          `json:"version"`
	Vendor               string          `json:"vendor"`
	Summary              string          `json:"summary"`
	DocumentationURL     *string         `json:"documentation_url"`
	State                string          `json:"state" enum:"starting,ready,backoff,quarantined,draining,stopped"`
	Reason               *string         `json:"reason" doc:"Why it is not ready."`
	ExportFormatVersions []string        `json:"export_format_versions" nullable:"false"`
	Capabilities         []string        `json:"capabilities" nullable:"false" example:"acks"`
	ConfigSchema         json.RawMessage `json:"config_schema" doc:"JSON Schema 2020-12; writeOnly marks secrets. Null if the connector could not be asked."`
}

// NewConnectorType shows what a connector says of itself. The caller sets its
// state.
func NewConnectorType(d *connectorv1.DescribeResponse) ConnectorType {
	v := ConnectorType{
		ConnectorType: d.GetConnectorType(), Name: d.GetName(), Version: d.GetVersion(), Vendor: d.GetVendor(),
		Summary: d.GetSummary(), DocumentationURL: text(d.GetDocumentationUrl()),
		ExportFormatVersions: append([]string{}, d.GetExportFormatVersions()...), Capabilities: []string{},
	}
	for _, c := range d.GetCapabilities() {
		if c != connectorv1.Capability_CAPABILITY_UNSPECIFIED {
			v.Capabilities = append(v.Capabilities, strings.ToLower(strings.TrimPrefix(c.String(), "CAPABILITY_")))
		}
	}
	if json.Valid(d.GetConfigSchema()) {
		v.ConfigSchema = d.GetConfigSchema()
	}
	return v
}
