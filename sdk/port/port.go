// Package port holds the few facts about the Port that the host and the
// connectors must agree on and that the generated code does not carry: the
// handshake, the size bounds and the list of error codes.
//
// Connector authors use package sdk, which builds on this one. The host
// imports this package and nothing else of the SDK but configschema.
package port

import (
	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// The handshake. A connector that is started without the cookie prints a hint
// and exits; it is no security measure.
const (
	ProtocolVersion = 1
	CookieKey       = "ORDERPORT_CONNECTOR_COOKIE"
	CookieValue     = "a7a3e3d2c9a04d0b8f1be5f0c6b1d5a1"
	// PluginName is the key of the one plugin in go-plugin's plugin set.
	PluginName = "connector"
)

// LifelineEnv names the environment variable that holds the number of a file
// descriptor whose end-of-file tells the connector that its host has died. A
// connector that sees it exits at once. Unset: there is no lifeline.
const LifelineEnv = "ORDERPORT_LIFELINE_FD"

// LogLevelEnv names the environment variable that holds the lowest level that
// a connector logs: "debug", "info" (if unset), "warn" or "error".
const LogLevelEnv = "ORDERPORT_LOG_LEVEL"

// Bounds in bytes that both sides keep.
const (
	// MaxMessage bounds one gRPC message in each direction.
	MaxMessage = 32 << 20
	// MaxChunk bounds the data of one StorePayload.
	MaxChunk = 1 << 20
	// StreamWindow and ConnectionWindow are how far a sender may be ahead of
	// its reader. They are fixed, since gRPC would otherwise keep measuring the
	// socket with messages of its own.
	StreamWindow     = 1 << 20
	ConnectionWindow = 16 << 20
	// MaxCheckpoint bounds one checkpoint.
	MaxCheckpoint = 64 << 10
)

// BinaryPrefix starts the file name of every connector binary.
const BinaryPrefix = "orderport-connector-"

// Code is an error code of the Port as text, such as "UNREACHABLE": the name
// of the protobuf enum value without its prefix.
type Code string

// The codes. connector.proto says what each means.
const (
	InvalidConfig        Code = "INVALID_CONFIG"
	InvalidOrder         Code = "INVALID_ORDER"
	Unreachable          Code = "UNREACHABLE"
	Timeout              Code = "TIMEOUT"
	AuthenticationFailed Code = "AUTHENTICATION_FAILED"
	PermissionDenied     Code = "PERMISSION_DENIED"
	HostKeyMismatch      Code = "HOST_KEY_MISMATCH"
	NotFound             Code = "NOT_FOUND"
	Conflict             Code = "CONFLICT"
	Throttled            Code = "THROTTLED"
	RejectedByERP        Code = "REJECTED_BY_ERP"
	OutcomeUnknown       Code = "OUTCOME_UNKNOWN"
	Unimplemented        Code = "UNIMPLEMENTED"
	Internal             Code = "INTERNAL"
	ConnectorCrashed     Code = "CONNECTOR_CRASHED"
	ConnectorUnavailable Code = "CONNECTOR_UNAVAILABLE"
)

const codePrefix = "ERROR_CODE_"

// CodeOf returns the text form of a protobuf code. Unspecified and unknown
// values are Internal.
func CodeOf(c connectorv1.ErrorCode) Code {
	name, ok := connectorv1.ErrorCode_name[int32(c)]
	if !ok || c == connectorv1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		return Internal
	}
	return Code(name[len(codePrefix):])
}

// Proto returns the protobuf value of c; for a text that is no code,
// ERROR_CODE_INTERNAL.
func (c Code) Proto() connectorv1.ErrorCode {
	if v, ok := connectorv1.ErrorCode_value[codePrefix+string(c)]; ok {
		return connectorv1.ErrorCode(v)
	}
	return connectorv1.ErrorCode_ERROR_CODE_INTERNAL
}

// Retryable says whether a failure with this code may pass by itself. It is
// the default of the SDK; a connector may say otherwise for a single error.
func (c Code) Retryable() bool {
	switch c {
	case Unreachable, Timeout, AuthenticationFailed, PermissionDenied, HostKeyMismatch,
		NotFound, Throttled, ConnectorCrashed, ConnectorUnavailable, Internal:
		return true
	default:
		return false
	}
}

// Outage says whether a failure with this code concerns the whole connection
// and not the one order: exports then wait for the connection to recover
// without using up attempts.
func (c Code) Outage() bool {
	switch c {
	case Unreachable, Timeout, AuthenticationFailed, PermissionDenied, HostKeyMismatch,
		NotFound, ConnectorUnavailable, InvalidConfig:
		return true
	default:
		return false
	}
}
