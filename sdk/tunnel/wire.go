package tunnel

import (
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// requestOf returns a message that has been encoded already: protobuf keeps
// what it does not know as it is.
func requestOf(encoded []byte) *connectorv1.TunnelRequest {
	m := &connectorv1.TunnelRequest{}
	m.ProtoReflect().SetUnknown(encoded)
	return m
}

// responseOf is requestOf for the other direction.
func responseOf(encoded []byte) *connectorv1.TunnelResponse {
	m := &connectorv1.TunnelResponse{}
	m.ProtoReflect().SetUnknown(encoded)
	return m
}

// until is how long there is until then, and never nothing: a call without a
// deadline would last forever.
func until(then time.Time) time.Duration { return max(time.Until(then), 0) }

// maxText bounds the text of an end, which is sent whatever waits.
const maxText = 4 << 10

func endOf(err error) *connectorv1.TunnelEnd {
	if err == nil {
		return &connectorv1.TunnelEnd{}
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err) // as grpc does
	}
	text := s.Message()
	text = strings.ToValidUTF8(text[:min(len(text), maxText)], "�")
	return &connectorv1.TunnelEnd{Code: int32(s.Code()), Message: text} //nolint:gosec // at most 16
}

// errorOf is what a stream that ended so would return.
func errorOf(end *connectorv1.TunnelEnd) error {
	if end.GetCode() == 0 {
		return io.EOF
	}
	return status.Error(codes.Code(end.GetCode()), end.GetMessage()) //nolint:gosec // an unknown code is kept
}
