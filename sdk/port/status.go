package port

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// StatusError makes a gRPC status that carries e as a detail, for FetchAcks,
// whose response has no place for an error: ABORTED if e is retryable,
// otherwise FAILED_PRECONDITION.
func StatusError(e *connectorv1.Error) error {
	code := codes.FailedPrecondition
	if e.GetRetryable() {
		code = codes.Aborted
	}
	plain := status.New(code, e.GetMessage())
	if detailed, err := plain.WithDetails(e); err == nil {
		return detailed.Err()
	}
	return plain.Err()
}

// ErrorFrom returns the Error that a gRPC status carries, or nil.
func ErrorFrom(err error) *connectorv1.Error {
	for _, detail := range status.Convert(err).Details() {
		if e, ok := detail.(*connectorv1.Error); ok {
			return e
		}
	}
	return nil
}
