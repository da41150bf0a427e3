// Package httpapi is Orderport's HTTP API: it turns requests into calls of
// package app and answers in the shapes of package view.
//
// Operations are registered in code with huma, which makes the OpenAPI document
// at /openapi.json of them; docs/api/openapi.json is a copy that a test keeps
// equal. Bodies are read here and not by huma: with this package's bounds,
// strictly, and without ever passing a number through a float.
//
// New returns a handler; Serve says how it is to be served. Nothing here runs
// by itself.
package httpapi
