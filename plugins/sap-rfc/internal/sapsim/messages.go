package sapsim

import (
	"cmp"
	"fmt"
	"strconv"
)

// messages collects the rows of a RETURN table.
type messages struct {
	rows   []Row
	quirks Quirks
}

// place is what a message is about: a parameter of the create, and the row of
// a table from 1.
type place struct {
	parameter string
	row       int
	field     string
}

func (m *messages) add(kind, id, number, text string, at place, variables ...string) {
	row := message(kind, id, number, text, variables...)
	row["PARAMETER"] = at.parameter
	if m.quirks.SalesHeaderNames {
		row["PARAMETER"] = salesNames[at.parameter]
	}
	row["ROW"] = strconv.Itoa(at.row)
	row["FIELD"] = at.field
	m.rows = append(m.rows, row)
}

// salesNames are the parameters' other names; both occur.
var salesNames = map[string]string{
	"ORDER_HEADER_IN": "SALES_HEADER_IN", "ORDER_ITEM_IN": "SALES_ITEM_IN", "ORDER_SCHEDULE_IN": "SCHEDULE_IN", "ORDER_PARTNERS": "SALES_PARTNERS",
}

// message is a row of BAPIRET2.
func message(kind, id, number, text string, variables ...string) Row {
	row := Row{"TYPE": kind, "ID": id, "NUMBER": number, "MESSAGE": text}
	for i, v := range variables {
		row[fmt.Sprintf("MESSAGE_V%d", i+1)] = v
	}
	return row
}

// locked says that an object is in somebody's hands. It comes as a row, not as
// a failure of the call.
func (m *messages) locked(object, user string, at place) {
	id, no := cmp.Or(m.quirks.LockID, "V1"), cmp.Or(m.quirks.LockNumber, "042")
	m.add("E", id, no, fmt.Sprintf("%s is currently being processed by user %s", object, user), at, object, user)
}
