package app

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/view"
)

// testDeadline bounds one TestConnection. A connector's own time-outs are
// shorter, and say more.
const testDeadline = 60 * time.Second

// Test tries a connection's stored config. A test that fails is a result, not
// an error; that it was tried is recorded in both cases.
func (s *Connections) Test(ctx context.Context, actor Actor, id uuid.UUID) (view.TestResult, error) {
	if err := actor.Authorize(TestConnection); err != nil {
		return view.TestResult{}, err
	}
	conn, err := s.store.Connection(ctx, actor.OrgID, id)
	if err != nil {
		return view.TestResult{}, err
	}
	result, err := s.tryStored(ctx, conn)
	if err != nil {
		return view.TestResult{}, err
	}
	if err := s.store.RecordTest(ctx, actor.OrgID, id, result.Success); err != nil {
		return view.TestResult{}, err
	}
	details := map[string]any{"success": result.Success}
	if result.Error != nil {
		details["code"] = result.Error.Code
	}
	if err := s.store.AppendAudit(ctx, actor.entry(TestConnection, subjectOf(id), details)); err != nil {
		return view.TestResult{}, err
	}
	if result.Success {
		s.waker.Nudge(id)
	}
	return result, nil
}

func (s *Connections) tryStored(ctx context.Context, conn domain.Connection) (view.TestResult, error) {
	config, err := s.vault.Open(conn)
	if err != nil {
		return failedTest(port.InvalidConfig, doesNotOpen(err).Message, 0), nil
	}
	target, schema, err := s.connectorOf(conn.ConnectorType)
	if err != nil {
		return failedTest(port.ConnectorUnavailable, err.Error(), 0), nil
	}
	return s.tryConfig(ctx, target, schema, conn, config)
}

// tryConfig runs the connector's test. Its error is the caller's context's, or
// the database's; whatever the connector does is a result.
func (s *Connections) tryConfig(ctx context.Context, target connector.Port, schema *schema, conn domain.Connection, config []byte) (view.TestResult, error) {
	org, err := s.store.OrganizationByID(ctx, conn.OrgID)
	if err != nil {
		return view.TestResult{}, err
	}
	id := ""
	if len(conn.Sealed.Blob) > 0 {
		id = conn.ID.String()
	}
	callCtx, cancel := context.WithTimeout(ctx, testDeadline)
	defer cancel()
	started := time.Now()
	answer, err := target.TestConnection(callCtx, &connectorv1.TestConnectionRequest{
		Connection: &connectorv1.Connection{Id: id, OrgSlug: org.Slug, Config: config},
	})
	if ctx.Err() != nil {
		return view.TestResult{}, ctx.Err()
	}
	hide := schema.hider(config)
	if err != nil {
		code, message := classify(err)
		return failedTest(code, hide(message), time.Since(started)), nil
	}
	return showTest(answer, hide), nil
}

// classify names a call that could not be made or was not answered.
func classify(err error) (port.Code, string) {
	var crash *connector.CrashError
	var unavailable *connector.UnavailableError
	switch {
	case errors.As(err, &crash):
		return port.ConnectorCrashed, crash.Error()
	case errors.As(err, &unavailable):
		return port.ConnectorUnavailable, unavailable.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return port.Timeout, "the connector did not answer within " + testDeadline.String()
	default:
		return port.Internal, err.Error()
	}
}

func failedTest(code port.Code, message string, took time.Duration) view.TestResult {
	return view.TestResult{
		Error: &view.TestError{Code: string(code), Message: message}, LatencyMS: took.Milliseconds(), Steps: []view.TestStep{},
	}
}

func showTest(answer *connectorv1.TestConnectionResponse, hide func(string) string) view.TestResult {
	result := view.TestResult{
		Success: answer.GetSuccess(), LatencyMS: int64(min(answer.GetLatencyMs(), 1<<40)), Steps: []view.TestStep{},
	}
	for _, step := range answer.GetSteps() {
		result.Steps = append(result.Steps, view.TestStep{
			Name: hide(step.GetName()), Success: step.GetSuccess(), Message: hide(step.GetMessage()),
			LatencyMS: int64(min(step.GetLatencyMs(), 1<<40)),
		})
	}
	if result.Success {
		return result
	}
	message := answer.GetErrorMessage()
	if message == "" {
		message = answer.GetError().GetMessage()
	}
	if message == "" {
		message = "the connector gave no reason"
	}
	result.Error = &view.TestError{Code: string(port.CodeOf(answer.GetError().GetCode())), Message: hide(message)}
	return result
}
