// Package sdk is what the author of an Orderport connector uses. A connector
// is a program of its own that delivers approved orders into one kind of ERP;
// the Orderport host starts it, calls it, and keeps everything that has to
// survive.
//
// A connector is a value with three methods, served from main:
//
//	func main() { sdk.Serve(connector{}) }
//
// Describe says who the connector is and which config it needs, TestConnection
// tries a config step by step (see Steps), and Export delivers one order.
// Implement AckSource, too, if the ERP answers later, and Resumer to keep first
// attempts and later ones apart.
//
// # Exactly once
//
// The host may run an export again when it can't know how an attempt ended,
// for instance because a machine died. A connector that declares
// Description.Resume keeps to this order in Export:
//
//  1. Look at ExportRequest.Resume. With a checkpoint there, find out first
//     whether the visible step has happened already.
//  2. Do everything that the ERP can't see, such as uploading under a
//     temporary name.
//  3. Store the exact bytes with StorePayload, and call SaveCheckpoint. When
//     it returns nil the checkpoint is durable; when it fails, stop, and keep
//     what MayBeSaved says. Checkpoints saves values of a type of yours.
//  4. Do the one visible step.
//
// # Errors
//
// Return an *Error (see Errorf) to say what went wrong and whether a later try
// may help. It is also a promise: a final *Error says that the ERP does not
// have the order. Any other error is classified, with the doubt on the safe
// side; Export's comment says how, CodeOf with which code. CheckHTTP reads HTTP
// answers.
//
// # Secrets
//
// DecodeConfig checks the config against the schema of Describe and decodes
// it. Use Secret for the fields that the schema marks as writeOnly: it can't
// be printed by accident.
//
// # Logs
//
// Use log/slog with a context (slog.InfoContext). Serve sends it to the host
// and adds the export's id; Logger is for libraries.
//
// # Tests
//
// Package sdktest runs a connector in memory for unit tests, package
// conformance checks the shipped binary, and package recording plays what an
// operator has recorded.
package sdk
