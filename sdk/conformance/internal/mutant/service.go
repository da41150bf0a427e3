package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// maxPayload is what the mutant says that it can deliver.
const maxPayload = 8 << 20

// service implements the Port.
type service struct {
	connectorv1.UnimplementedConnectorServiceServer
	*mutant
}

// Describe implements the Port.
func (s *service) Describe(context.Context, *connectorv1.DescribeRequest) (*connectorv1.DescribeResponse, error) {
	if s.is("prints-to-stdout") {
		fmt.Fprintln(os.Stdout, "describing")
	}
	return &connectorv1.DescribeResponse{
		ConnectorType: "MUTANT_V1", Name: "Mutant", Version: "1.0.0", Vendor: "Orderport",
		Summary:      "Delivers orders as files, and is broken in one way.",
		ConfigSchema: configSchema, ExportFormatVersions: []string{"orderflow_export_json_v1"},
		Capabilities: []connectorv1.Capability{
			connectorv1.Capability_CAPABILITY_ACKS, connectorv1.Capability_CAPABILITY_RESUME,
			connectorv1.Capability_CAPABILITY_FENCED,
		},
		Limits: &connectorv1.Limits{MaxPayloadBytes: maxPayload},
	}, nil
}

// TestConnection implements the Port: it writes a file and removes it.
func (s *service) TestConnection(
	ctx context.Context, request *connectorv1.TestConnectionRequest,
) (*connectorv1.TestConnectionResponse, error) {
	started := time.Now()
	response := &connectorv1.TestConnectionResponse{}
	s.try(ctx, request, response)
	response.Success = response.GetError() == nil
	response.ErrorMessage = response.GetError().GetMessage()
	response.LatencyMs = uint64(time.Since(started).Milliseconds()) //nolint:gosec // not negative
	return response, nil
}

func (s *service) try(ctx context.Context, request *connectorv1.TestConnectionRequest, response *connectorv1.TestConnectionResponse) {
	step := func(name string, e *connectorv1.Error) bool {
		response.Steps = append(response.Steps, &connectorv1.TestStep{Name: name, Success: e == nil, Message: e.GetMessage()})
		response.Error = e
		return e == nil
	}
	c, invalid := s.decode(request.GetConnection())
	if !step("config", invalid) {
		return
	}
	at, err := s.open(ctx, c)
	if err != nil {
		step("connect", classify(ctx, "connect", err))
		return
	}
	defer at.close()
	step("connect", nil)
	file := path.Join(c.Dir, "test"+fmt.Sprint(time.Now().UnixNano())+".tmp")
	if err := at.write(file, []byte("{}")); err != nil {
		_ = at.remove(file)
		step("write", classify(ctx, "write", err))
		return
	}
	step("write", nil)
	if err := at.remove(file); err != nil {
		step("remove", classify(ctx, "remove", err))
		return
	}
	step("remove", nil)
}
