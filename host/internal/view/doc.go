// Package view holds the JSON shapes that the HTTP API and the command line's
// --json share. What a field is called here is a promise to users.
//
// Ids are strings, times are RFC 3339 in UTC with microseconds. A field that
// has no value is null, never left out, unless its comment says otherwise.
package view
