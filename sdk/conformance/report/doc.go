// Package report prints the outcome of conformance checks: for a person at a
// terminal, as JSON, and as JUnit XML for build servers.
package report
