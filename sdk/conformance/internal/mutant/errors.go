package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/pkg/sftp"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
	"github.com/orderport/orderport/sdk/port"
)

// fault makes an error whose code decides whether it is retryable.
func fault(code port.Code, format string, args ...any) *connectorv1.Error {
	return &connectorv1.Error{Code: code.Proto(), Message: fmt.Sprintf(format, args...), Retryable: code.Retryable()}
}

var (
	errHostKey  = errors.New("the server's host key is not the configured one")
	errRefused  = errors.New("the server refused the password")
	errConflict = errors.New("another file has the order's name")
)

// classify says what a failure at the target was.
func classify(ctx context.Context, what string, err error) *connectorv1.Error {
	return fault(codeOf(ctx, err), "%s: %v", what, err)
}

func codeOf(ctx context.Context, err error) port.Code {
	var network net.Error
	var operation *net.OpError
	switch {
	case errors.Is(err, errHostKey):
		return port.HostKeyMismatch
	case errors.Is(err, errRefused):
		return port.AuthenticationFailed
	case errors.Is(err, errConflict):
		return port.Conflict
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return port.NotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return port.PermissionDenied
	case errors.Is(err, syscall.ENOSPC), strings.Contains(err.Error(), "no space left"):
		return port.Throttled
	case errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return port.Timeout
	case errors.As(err, &operation), errors.Is(err, net.ErrClosed), errors.Is(err, sftp.ErrSSHFxConnectionLost),
		strings.Contains(err.Error(), "EOF"), strings.Contains(err.Error(), "connection"):
		return port.Unreachable
	case strings.Contains(err.Error(), "not a directory"):
		return port.NotFound
	default:
		return port.Internal
	}
}
