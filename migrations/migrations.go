// Package migrations holds the SQL that builds Orderport's database, one
// folder for each dialect. Files are named NNNNN_<what>.sql, are applied in
// the order of their numbers, and never change once they have been released:
// a change is a new file. The job queue's own tables are not here; the queue's
// library brings them.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Postgres returns the files for PostgreSQL 13 and newer.
func Postgres() fs.FS { return folder("postgres") }

// SQLite returns the files for SQLite 3.37 and newer (STRICT tables).
func SQLite() fs.FS { return folder("sqlite") }

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // only for a malformed name, and both are constants
	}
	return sub
}
