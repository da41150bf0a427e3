package view

import (
	"github.com/orderport/orderport/host/internal/domain"
)

// Export is one delivery of one draft order over one connection.
type Export struct {
	ID                  string            `json:"id" format:"uuid"`
	OrgID               string            `json:"org_id" format:"uuid"`
	ConnectionID        string            `json:"connection_id" format:"uuid"`
	ConnectorType       string            `json:"connector_type" example:"DROPZONE_JSON_V1"`
	DraftOrderID        string            `json:"draft_order_id" format:"uuid"`
	ExternalOrderNumber *string           `json:"external_order_number"`
	Status              string            `json:"status" enum:"PENDING,SENT,ACKED,FAILED"`
	ExportFormatVersion string            `json:"export_format_version" example:"orderflow_export_json_v1"`
	StorageKey          *string           `json:"storage_key" doc:"Where the host keeps the delivered bytes; null until there are any."`
	DropzonePath        *string           `json:"dropzone_path" doc:"The delivered file at the target, for connectors that drop files."`
	ExternalRef         *string           `json:"external_ref" doc:"What the ERP's ack names."`
	ERPOrderID          *string           `json:"erp_order_id" doc:"The ERP's order number, once ACKED."`
	Error               *ExportError      `json:"error" doc:"The last error, also while PENDING; null if there is none."`
	Metadata            map[string]string `json:"metadata" doc:"Facts that the connector reported."`
	RetryOf             *string           `json:"retry_of" format:"uuid" doc:"The FAILED export that this one repeats."`
	NextAttemptAt       *string           `json:"next_attempt_at" format:"date-time" doc:"When a PENDING export is tried next."`
	AttemptCount        int               `json:"attempt_count" doc:"Attempts started."`
	CreatedAt           string            `json:"created_at" format:"date-time"`
	UpdatedAt           string            `json:"updated_at" format:"date-time"`
	SentAt              *string           `json:"sent_at" format:"date-time"`
	AckedAt             *string           `json:"acked_at" format:"date-time"`
}

// ExportError is why an export has not gone through.
type ExportError struct {
	Code      string            `json:"code" example:"UNREACHABLE"`
	Message   string            `json:"message"`
	Retryable bool              `json:"retryable"`
	Details   map[string]string `json:"details"`
}

// ExportWithAttempts is the single view of an export.
type ExportWithAttempts struct {
	Export
	WaitsFor *string   `json:"waits_for" doc:"What keeps a PENDING export from being delivered at this moment, for a person; null for the others."`
	Attempts []Attempt `json:"attempts" nullable:"false" doc:"From first to last."`
}

// Attempt is one run of an export by a connector.
type Attempt struct {
	Number     int          `json:"number"`
	Host       string       `json:"host" doc:"Name of the host that ran it."`
	StartedAt  string       `json:"started_at" format:"date-time"`
	FinishedAt *string      `json:"finished_at" format:"date-time"`
	Outcome    string       `json:"outcome" enum:"RUNNING,DELIVERED,FAILED,RETRY,DEFERRED,LOST"`
	Error      *ExportError `json:"error"`
	Recovered  bool         `json:"recovered" doc:"The attempt found that an earlier one had already delivered."`
}

// NewExport shows an export.
func NewExport(e domain.Export) Export {
	v := Export{
		ID: e.ID.String(), OrgID: e.OrgID.String(), ConnectionID: e.ConnectionID.String(),
		ConnectorType: e.ConnectorType, DraftOrderID: e.DraftOrderID.String(),
		ExternalOrderNumber: e.ExternalOrderNumber, Status: string(e.Status), ExportFormatVersion: e.FormatVersion,
		StorageKey: text(e.StorageKey), DropzonePath: text(e.DropzonePath), ExternalRef: text(e.ExternalRef),
		ERPOrderID: text(e.ERPOrderID), Error: newExportError(e.Error), Metadata: orEmpty(e.Metadata),
		AttemptCount: e.AttemptCount, CreatedAt: Time(e.CreatedAt), UpdatedAt: Time(e.UpdatedAt),
		SentAt: optionalTime(e.SentAt), AckedAt: optionalTime(e.AckedAt),
	}
	if e.RetryOf != nil {
		v.RetryOf = text(e.RetryOf.String())
	}
	if e.Status == domain.Pending {
		v.NextAttemptAt = optionalTime(e.NextAttemptAt)
	}
	return v
}

// NewExportWithAttempts shows an export, its attempts, and what it waits for.
func NewExportWithAttempts(e domain.Export, attempts []domain.Attempt, waitsFor string) ExportWithAttempts {
	v := ExportWithAttempts{Export: NewExport(e), WaitsFor: text(waitsFor), Attempts: make([]Attempt, 0, len(attempts))}
	for _, a := range attempts {
		v.Attempts = append(v.Attempts, newAttempt(a))
	}
	return v
}

func newAttempt(a domain.Attempt) Attempt {
	host := a.HostName
	if host == "" {
		host = a.HostID.String()
	}
	return Attempt{
		Number: a.Number, Host: host, StartedAt: Time(a.StartedAt), FinishedAt: optionalTime(a.FinishedAt),
		Outcome: string(a.Outcome), Error: newExportError(a.Error), Recovered: a.Recovered,
	}
}

func newExportError(e *domain.ExportError) *ExportError {
	if e == nil {
		return nil
	}
	return &ExportError{Code: string(e.Code), Message: e.Message, Retryable: e.Retryable, Details: orEmpty(e.Details)}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// BatchLine is the answer to one line of a batch. Either export or error is
// there.
type BatchLine struct {
	Line   int      `json:"line" doc:"Number of the line, from 1; empty lines count, and have no answer."`
	Status int      `json:"status" doc:"What a single hand-in would have answered: 202, 200, 400, 409, 413, 422."`
	Export *Export  `json:"export,omitempty"`
	Error  *Problem `json:"error,omitempty"`
}
