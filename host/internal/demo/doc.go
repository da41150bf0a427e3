// Package demo shows the main job on one screen: a host with SQLite in a
// temporary directory, the dropzone connector, a dozen orders, and a small ERP
// that takes the files, acknowledges most of them and refuses one.
//
// It uses the product as a user does: it starts `orderport serve` and talks to
// its API.
package demo
