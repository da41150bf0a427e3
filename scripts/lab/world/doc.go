// Package world builds a small world around the shipped binaries: a PostgreSQL
// server, hosts, and an ERP that consumes what it is given. End-to-end tests,
// the benchmark and the torture program all live in it, and all of them see
// Orderport from outside only: processes, files, HTTP.
//
// Everything that is started here ends with the program that started it, also
// when that program is killed.
package world
