package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// message is a row of RETURN, in the shape of BAPIRET2 or of BAPIRETURN. What
// it means is in Type, ID and Number; Text is in the logon language and for
// people.
type message struct {
	Type, ID, Number, Text string
	Parameter, Row, Field  string
}

func newMessage(row rfc.Structure) message {
	m := message{
		Type: strings.ToUpper(row["TYPE"]), ID: row["ID"], Number: row["NUMBER"], Text: row["MESSAGE"],
		Parameter: row["PARAMETER"], Row: row["ROW"], Field: row["FIELD"],
	}
	if m.ID == "" {
		m.ID = row["CODE"] // BAPIRETURN has one field for both
	}
	return m
}

// key is the message's class and number, such as "V1 311".
func (m message) key() string { return strings.TrimSpace(m.ID + " " + m.Number) }

// String is the message as SAP's users know it, with the place it is about.
func (m message) String() string {
	text := fmt.Sprintf("%s %s %s", m.Type, m.key(), m.Text)
	if m.Parameter != "" {
		text += " [" + m.Parameter
		if strings.Trim(m.Row, "0") != "" {
			text += " row " + m.Row
		}
		if m.Field != "" {
			text += " field " + m.Field
		}
		text += "]"
	}
	return strings.TrimSpace(text)
}

// failed says that the message is an error. A type that is not known is taken
// for one.
func (m message) failed() bool { return !slices.Contains([]string{"", "S", "I", "W"}, m.Type) }

// messages are the rows of one RETURN.
type messages []message

func newMessages(rows []rfc.Structure) messages {
	var list messages
	for _, row := range rows {
		list = append(list, newMessage(row))
	}
	return list
}

// failure returns the first error, if there is one.
func (l messages) failure() (message, bool) {
	for _, m := range l {
		if m.failed() {
			return m, true
		}
	}
	return message{}, false
}

// aborted says that SAP gave the call up: nothing of it is to be kept.
func (l messages) aborted() bool {
	return slices.ContainsFunc(l, func(m message) bool { return m.failed() && m.Type != "E" })
}

// passing returns the error that is among those that pass, if every error is:
// a lock beside a wrong material won't help.
func (l messages) passing(passing []string) (message, bool) {
	var found message
	for _, m := range l {
		if !m.failed() {
			continue
		}
		// The summary that follows any error says nothing of its own.
		if m.key() == "V4 219" {
			continue
		}
		if !slices.Contains(passing, m.key()) {
			return message{}, false
		}
		if found.Type == "" {
			found = m
		}
	}
	return found, found.Type != ""
}

// errors are the rows that say what is wrong, as many as a checkpoint holds.
func (l messages) errors() []string {
	var rows []string
	for _, m := range l {
		if m.failed() && len(rows) < entriesOfOneRow {
			rows = append(rows, m.String())
		}
	}
	return rows
}

// The host keeps 64 entries of 4 KiB. Rows have an entry each as long as they
// are few; after that they share entries.
const (
	entriesOfOneRow = 40
	maxEntries      = 56
	maxEntry        = 4000
)

// details are the rows for a person, in their order. An order of very many
// rows loses the last ones, and says how many.
func (l messages) details() map[string]string {
	var entries []string
	for i, m := range l {
		row := m.String()
		last := len(entries) - 1
		switch {
		case len(entries) <= entriesOfOneRow:
			entries = append(entries, row)
		case len(entries[last])+1+len(row) <= maxEntry:
			entries[last] += "\n" + row
		case len(entries) < maxEntries:
			entries = append(entries, row)
		default:
			return numbered(append(entries, fmt.Sprintf("and %d more", len(l)-i)))
		}
	}
	return numbered(entries)
}

func numbered(entries []string) map[string]string {
	rows := make(map[string]string, len(entries))
	for i, text := range entries {
		rows[fmt.Sprintf("return_%02d", i+1)] = text
	}
	return rows
}
