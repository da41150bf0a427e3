// Package e2e holds tests that drive the built binaries from outside, with
// real orders, real databases and real SFTP servers. They need `make build`.
package e2e
