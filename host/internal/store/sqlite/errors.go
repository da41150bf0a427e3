package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// translate turns a violated constraint into a fault. SQLite does not name the
// index that was violated, so whatever a user may run into is checked before
// the write; what remains is an id that is there already.
func translate(err error) error {
	var known *fault.Error
	var lite *sqlite.Error
	if errors.As(err, &known) || !errors.As(err, &lite) {
		return err
	}
	switch lite.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return rules.RowExists().Because(err)
	}
	// The primary code is in the lowest byte; the others say more about it.
	if lite.Code()&0xff == sqlite3.SQLITE_FULL {
		return rules.DatabaseFull().Because(err)
	}
	return err
}
