// Package cli is the orderport command: a tree of commands as kong reads it,
// each with a Run method. It is also where everything is put together: only
// this package knows which database, payload store and connectors stand behind
// the services of package app.
//
// What a command prints is for people, in tables and sentences; with --json it
// is one JSON document in the shapes of package view, and with --ndjson a list
// is one document a line. Results go to standard output, everything else to
// standard error. Exit codes: 0 done, 1 failed, 2 wrong usage.
package cli
