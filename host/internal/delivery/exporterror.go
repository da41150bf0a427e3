package delivery

import (
	"maps"
	"strings"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/domain"
)

// Bounds on what a connector may make the host keep.
const (
	maxText    = 4 << 10 // bytes of one message or value
	maxEntries = 64      // entries of one map
)

func exportError(code port.Code, message string, retryable bool) *domain.ExportError {
	return &domain.ExportError{Code: code, Message: clean(message), Retryable: retryable}
}

// unknown is the error of an export of which nobody knows whether the ERP has
// it. Both things are said: that it is unknown, and what happened last.
func unknown(message string, last *domain.ExportError) *domain.ExportError {
	failure := exportError(port.OutcomeUnknown, message, false)
	if last != nil {
		failure.Details = maps.Clone(last.Details)
		if failure.Details == nil {
			failure.Details = make(map[string]string)
		}
		failure.Details["last_code"] = string(last.Code)
		failure.Details["last_message"] = last.Message
	}
	return failure
}

// reportedError is a connector's error as the host keeps it: codes that only
// the host may set become INTERNAL, violations become details.
func reportedError(e *connectorv1.Error) *domain.ExportError {
	code := port.CodeOf(e.GetCode())
	if code == port.ConnectorCrashed || code == port.ConnectorUnavailable {
		code = port.Internal
	}
	message := e.GetMessage()
	if message == "" {
		message = "the connector gave no reason"
	}
	failure := exportError(code, message, e.GetRetryable())
	failure.Details = cleanMap(e.GetDetails())
	for i, violation := range e.GetViolations() {
		if i == maxEntries {
			break
		}
		if failure.Details == nil {
			failure.Details = make(map[string]string)
		}
		failure.Details["violation "+clean(violation.GetPath())] = clean(violation.GetMessage())
	}
	return failure
}

func retryAfter(e *connectorv1.Error) time.Duration {
	if e.GetRetryAfter() == nil {
		return 0
	}
	return min(max(0, e.GetRetryAfter().AsDuration()), 24*time.Hour)
}

// clean makes a stranger's text fit for any database: valid UTF-8 without NUL,
// and bounded.
func clean(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}

func cleanMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	cleaned := make(map[string]string, min(len(m), maxEntries))
	for key, value := range m {
		if len(cleaned) == maxEntries {
			break
		}
		cleaned[clean(key)] = clean(value)
	}
	return cleaned
}
