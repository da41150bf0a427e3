package acks

import (
	"strings"
	"unicode/utf8"
)

// maxText bounds what is kept of one text of an ack, in bytes.
const maxText = 4 << 10

// storable says whether every database takes the text as it is. References and
// numbers must be exact: they are never cut or mended.
func storable(text string) bool {
	return len(text) <= maxText && utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// clean makes a text for people fit for every database.
func clean(text string) string { return fit(text, maxText) }

// short is clean for logs and the audit log.
func short(text string) string { return fit(text, 500) }

func fit(text string, longest int) string {
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
