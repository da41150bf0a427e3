package launch

import (
	"fmt"

	"google.golang.org/grpc/encoding"
)

// Bytes is a message that is sent as it is, and received as it came: for
// requests that no message type can express.
type Bytes []byte

// RawCodec passes Bytes through. It says that it is protobuf, so a connector
// takes it for a request like any other. Use it with grpc.ForceCodec.
type RawCodec struct{}

var _ encoding.Codec = RawCodec{}

// Name returns "proto".
func (RawCodec) Name() string { return "proto" }

// Marshal returns the bytes.
func (RawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*Bytes)
	if !ok {
		return nil, fmt.Errorf("raw codec: a %T", v)
	}
	return *b, nil
}

// Unmarshal keeps the bytes.
func (RawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*Bytes)
	if !ok {
		return fmt.Errorf("raw codec: a %T", v)
	}
	*b = append((*b)[:0], data...)
	return nil
}
