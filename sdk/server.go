package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/configschema"
	"github.com/orderport/orderport/sdk/hands"
)

// NewServer returns the gRPC service of a connector, without a process around
// it: for tests, and for a host that runs connectors in memory. Most
// connectors call Serve. The error says what is wrong with the Description.
func NewServer(connector Connector) (connectorv1.ConnectorServiceServer, error) {
	return newServer(connector)
}

// server translates between the Port's messages and a Connector.
type server struct {
	connectorv1.UnimplementedConnectorServiceServer

	connector   Connector
	acks        AckSource // nil: none
	resumer     Resumer   // nil: Export does it
	description Description
	identity    *connectorv1.DescribeResponse
	configs     configs
	calls       calls
}

func newServer(connector Connector) (*server, error) {
	description := connector.Describe()
	acks, _ := connector.(AckSource)
	resumer, _ := connector.(Resumer)
	description.Resume = description.Resume || resumer != nil
	if err := description.check(); err != nil {
		return nil, err
	}
	schema, err := configschema.Compile(description.ConfigSchema)
	if err != nil {
		return nil, fmt.Errorf("describe: config schema: %w", err)
	}
	return &server{
		connector:   connector,
		acks:        acks,
		resumer:     resumer,
		description: description,
		identity:    description.proto(acks != nil),
		configs:     configs{schema: schema},
	}, nil
}

// Drain refuses new calls and returns a channel that is closed when the last
// call has ended, and with it all code of the connector that the calls started.
// Package sdktest finds a connector by it that goes on after a call.
func (s *server) Drain() <-chan struct{} { return s.calls.drain() }

var (
	typePattern    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,62}$`)
	versionPattern = regexp.MustCompile(
		`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

func (d Description) check() error {
	var problems []error
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("describe: "+format, args...))
	}
	if !typePattern.MatchString(d.Type) {
		complain("Type %q must be an upper-case letter, then upper-case letters, digits and underscores, at most 63", d.Type)
	}
	if !versionPattern.MatchString(d.Version) {
		complain("Version %q must be a semantic version without a leading v, such as 1.0.0", d.Version)
	}
	if d.Name == "" || strings.TrimSpace(d.Name) != d.Name {
		complain("Name %q must not be empty or have spaces around it", d.Name)
	}
	if len(d.FormatVersions) == 0 {
		complain("FormatVersions must name at least one format")
	}
	if d.Fenced && !d.Resume {
		complain("Fenced needs Resume")
	}
	if min(d.Limits.MaxInFlight, d.Limits.MaxInFlightPerConnection, d.Limits.MaxPerMinutePerConnection) < 0 || d.Limits.MaxPayloadBytes < 0 {
		complain("Limits must not be negative")
	}
	for _, text := range append([]string{d.Name, d.Vendor, d.Summary, d.DocumentationURL}, d.FormatVersions...) {
		if !utf8.ValidString(text) {
			complain("%q is not valid UTF-8", text)
		}
	}
	for _, v := range configschema.CheckSchema(d.ConfigSchema) {
		complain("ConfigSchema: %s", v)
	}
	return errors.Join(problems...)
}

func (d Description) proto(acks bool) *connectorv1.DescribeResponse {
	p := &connectorv1.DescribeResponse{
		ConnectorType:        d.Type,
		Name:                 d.Name,
		Version:              d.Version,
		Vendor:               d.Vendor,
		Summary:              d.Summary,
		DocumentationUrl:     d.DocumentationURL,
		ConfigSchema:         d.ConfigSchema,
		ExportFormatVersions: d.FormatVersions,
		Limits: &connectorv1.Limits{
			MaxInFlightPerConnection:  uint32(d.Limits.MaxInFlightPerConnection),  //nolint:gosec // checked: not negative
			MaxPerMinutePerConnection: uint32(d.Limits.MaxPerMinutePerConnection), //nolint:gosec // checked: not negative
			MaxInFlight:               uint32(d.Limits.MaxInFlight),               //nolint:gosec // checked: not negative
			MaxPayloadBytes:           uint64(d.Limits.MaxPayloadBytes),           //nolint:gosec // checked: not negative
		},
	}
	if acks {
		p.Capabilities = append(p.Capabilities, connectorv1.Capability_CAPABILITY_ACKS)
	}
	if d.Resume {
		p.Capabilities = append(p.Capabilities, connectorv1.Capability_CAPABILITY_RESUME)
	}
	if d.Fenced {
		p.Capabilities = append(p.Capabilities, connectorv1.Capability_CAPABILITY_FENCED)
	}
	return p
}

// Describe implements the Port.
func (s *server) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	return s.identity, nil
}

// TestConnection implements the Port.
func (s *server) TestConnection(
	ctx context.Context, p *connectorv1.TestConnectionRequest,
) (*connectorv1.TestConnectionResponse, error) {
	if err := s.calls.begin(); err != nil {
		return nil, err
	}
	defer s.calls.end()
	start := time.Now()
	conn := s.configs.connection(p.GetConnection())
	ctx = withLogAttrs(ctx, slog.String("connection_id", conn.ID))
	var result TestResult
	err := conn.config.check()
	if err == nil {
		err = s.calls.run(ctx, "TestConnection", func() (err error) {
			result, err = s.connector.TestConnection(ctx, TestRequest{Connection: conn})
			return err
		})
	}
	if isBroken(err) {
		return nil, err
	}
	result, err = result.agreed(err)
	response := &connectorv1.TestConnectionResponse{
		Success:   err == nil,
		LatencyMs: millis(time.Since(start)),
	}
	for _, step := range result.Steps {
		response.Steps = append(response.Steps, step.proto(conn))
	}
	if err != nil {
		response.Error = errorProto(classify(err), conn)
		response.ErrorMessage = response.GetError().GetMessage()
	}
	return response, nil
}

// agreed makes steps and outcome say the same, as the contract wants it: the
// first step that failed is the last one, and a test that failed has one.
func (r TestResult) agreed(err error) (TestResult, error) {
	for i, step := range r.Steps {
		if step.Err == nil {
			continue
		}
		if err == nil {
			err = step.Err
		}
		return TestResult{Steps: r.Steps[:i+1]}, err
	}
	if err == nil {
		return r, nil
	}
	name := "test"
	if CodeOf(err) == InvalidConfig {
		name = "config"
	}
	return TestResult{Steps: append(slices.Clip(r.Steps), TestStep{Name: name, Err: err})}, err
}

func (s TestStep) proto(conn Connection) *connectorv1.TestStep {
	message := s.Message
	if message == "" && s.Err != nil {
		message = classify(s.Err).Message
	}
	return &connectorv1.TestStep{
		Name:      clean(s.Name),
		Success:   s.Err == nil,
		Message:   clean(conn.Redact(message)),
		LatencyMs: millis(s.Latency),
	}
}

func millis(d time.Duration) uint64 { return uint64(max(0, d.Milliseconds())) } //nolint:gosec // not negative

// brokenError is a failure of the call itself: the host gets a gRPC status and
// treats the outcome as unknown.
type brokenError struct{ status *status.Status }

func broken(code codes.Code, format string, args ...any) error {
	return &brokenError{status.Newf(code, format, args...)}
}

func (e *brokenError) Error() string              { return e.status.Message() }
func (e *brokenError) GRPCStatus() *status.Status { return e.status }

func isBroken(err error) bool {
	var e *brokenError
	return errors.As(err, &e)
}

// calls runs the connector's code and knows how much of it is running: calls
// of the host, and code that goes on after its call.
type calls struct {
	hands hands.Pool

	mu      sync.Mutex
	running int           // guarded by mu
	closing bool          // guarded by mu; no new calls
	idle    chan struct{} // guarded by mu; closed at running 0 once closing
}

// patience is how long a call may go on after its context has ended.
const patience = 800 * time.Millisecond

// run calls f and returns its error. A panic in f, and an f that goes on after
// ctx has ended, are a brokenError; the latter is left running.
func (c *calls) run(ctx context.Context, method string, f func() error) error {
	c.add()
	done := make(chan error, 1)
	c.hands.Do(func() {
		defer c.end()
		returned, err := false, error(nil)
		defer func() {
			if !returned { // runtime.Goexit
				err = broken(codes.Internal, "the connector's %s ended without returning", method)
			}
			done <- err
		}()
		err = guard(ctx, method, f)
		returned = true
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	overdue := time.NewTimer(patience)
	defer overdue.Stop()
	select {
	case err := <-done:
		return err
	case <-overdue.C:
		slog.ErrorContext(ctx, "the connector goes on although its call has ended", "method", method)
		return &brokenError{status.FromContextError(ctx.Err())}
	}
}

// guard turns a panic into a brokenError. What was panicked with may hold
// secrets, so only the log, which the host redacts, gets it.
func guard(ctx context.Context, method string, f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		slog.ErrorContext(ctx, "panic in the connector",
			"method", method, "panic", fmt.Sprint(recover()), "stack", string(debug.Stack()))
		err = broken(codes.Internal, "panic in the connector's %s; its log says more", method)
	}()
	err = f()
	returned = true
	return err
}

// begin is called at the start of each call, and end after it.
func (c *calls) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return status.Error(codes.Unavailable, "the connector is stopping")
	}
	c.running++
	return nil
}

// add counts in what belongs to a call that has begun.
func (c *calls) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.closing && c.running == 0 {
		close(c.idle)
	}
}

// drain refuses new calls and returns a channel that is closed when the last
// one has ended.
func (c *calls) drain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.closing = true
		c.idle = make(chan struct{})
		if c.running == 0 {
			close(c.idle)
		}
	}
	return c.idle
}
