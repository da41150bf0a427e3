package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// service implements the Port.
type service struct {
	connectorv1.UnimplementedConnectorServiceServer
	*mutant
}

// TestConnection implements the Port: it writes a file and removes it.
func (s *service) TestConnection(
	ctx context.Context, request *connectorv1.TestConnectionRequest,
) (*connectorv1.TestConnectionResponse, error) {
	started := time.Now()
	response := &connectorv1.TestConnectionResponse{}
	s.try(ctx, request, response)
	s.spoil(response)
	if s.is("test-status") && response.GetError() != nil {
		return nil, status.Error(codes.Unavailable, response.GetError().GetMessage())
	}
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
	if s.is("tries-login-twice") && errors.Is(err, errRefused) {
		at, err = s.open(ctx, c)
	}
	if err != nil {
		step("connect", classify(ctx, "connect", err))
		return
	}
	defer at.close()
	step("connect", nil)
	if s.is("test-removes-temporaries") {
		s.removeTemporaries(at, c.Dir)
	}
	file := path.Join(c.Dir, "test"+fmt.Sprint(time.Now().UnixNano())+".tmp")
	if err := at.write(file, []byte("{}")); err != nil {
		_ = at.remove(file)
		if s.is("makes-missing-directory") && at.mkdir(c.Dir) == nil {
			_ = at.write(file, nil)
		}
		step("write", classify(ctx, "write", err))
		return
	}
	step("write", nil)
	if s.is("test-leaves-file") {
		return
	}
	if err := at.remove(file); err != nil {
		step("remove", classify(ctx, "remove", err))
		return
	}
	step("remove", nil)
}

// spoil makes an answer that does not agree with itself, or says too little.
func (s *service) spoil(response *connectorv1.TestConnectionResponse) {
	failed := response.GetError() != nil
	switch {
	case !failed:
	case s.is("test-always-succeeds"):
		response.Error = nil
		for _, step := range response.GetSteps() {
			step.Success = true
		}
	case s.is("unclassified"):
		response.Error.Code = connectorv1.ErrorCode_ERROR_CODE_INTERNAL
	case s.is("step-after-failure"):
		response.Steps = append(response.Steps, &connectorv1.TestStep{Name: "afterwards", Success: true})
	}
}

func (s *service) removeTemporaries(at place, dir string) {
	infos, _ := at.list(dir)
	for _, info := range infos {
		if strings.HasSuffix(info.Name(), ".tmp") {
			_ = at.remove(path.Join(dir, info.Name()))
		}
	}
}
