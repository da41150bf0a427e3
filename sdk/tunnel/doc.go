// Package tunnel carries calls of Export over one gRPC stream, as
// orderport/connector/v1/tunnel.proto defines it: [Client] on the host's side,
// [Service] on the connector's. Neither side sees a difference, but for the
// price of a call.
//
// Connectors that are built with package sdk serve it already.
package tunnel
