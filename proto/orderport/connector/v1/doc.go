// Package connectorv1 is the Port in Go: the messages and the service of
// connector.proto, whose comments are the contract. Everything else in this
// package is generated from it (make proto).
//
// Connector authors use package port of the sdk module instead and rarely see
// these types; the host and the conformance harness speak them directly.
package connectorv1
