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
	if primaryCode(lite) == sqlite3.SQLITE_FULL {
		return rules.DatabaseFull().Because(err)
	}
	return err
}

// Unavailable implements store.Store.
func (*Store) Unavailable(err error) bool {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch primaryCode(lite) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR:
		return true
	default:
		return false
	}
}

// isBusy reports whether another process holds a lock on the file.
func isBusy(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && primaryCode(lite) == sqlite3.SQLITE_BUSY
}

// primaryCode returns the code's lowest byte; the others say more about it.
func primaryCode(err *sqlite.Error) int { return err.Code() & 0xff }
