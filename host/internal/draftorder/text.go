package draftorder

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of texts, in characters.
const (
	maxText        = 1_000
	maxDescription = 10_000
	maxNotes       = 65_536
	maxInstant     = 64
)

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// textCheck returns the text as it is kept, and what is wrong with it, if
// anything. It never repeats the text: orders hold personal data.
type textCheck func(text string) (kept, problem string)

func shortText(text string) (string, string) { return text, checkText(text, maxText, false) }
func descriptionText(text string) (string, string) {
	return text, checkText(text, maxDescription, true)
}
func notesText(text string) (string, string) { return text, checkText(text, maxNotes, true) }

func checkText(text string, limit int, multiline bool) string {
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		return fmt.Sprintf("must have at most %d characters", limit)
	}
	for _, r := range text {
		if !unicode.IsControl(r) {
			continue
		}
		if multiline && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		return fmt.Sprintf("must not have control characters (it has U+%04X)", r)
	}
	return ""
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }

func currency(text string) (string, string) {
	if len(text) == 3 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return text, ""
	}
	return text, `must be three upper-case letters, such as "EUR"`
}

func day(text string) (string, string) {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return text, `must be a date that exists, such as "2025-12-01"`
	}
	return text, ""
}

func instant(text string) (string, string) {
	// time.Parse lets single digits, commas and impossible offsets pass; the
	// pattern lets impossible days pass.
	_, err := time.Parse(time.RFC3339, text)
	if err != nil || len(text) > maxInstant || !rfc3339.MatchString(text) {
		return text, `must be an RFC 3339 instant, such as "2025-12-26T10:00:00Z"`
	}
	return text, ""
}

func sha256Hex(text string) (string, string) {
	if b, err := hex.DecodeString(text); err != nil || len(b) != 32 {
		return text, "must be a SHA-256, 64 hexadecimal digits"
	}
	return strings.ToLower(text), ""
}

// shorten cuts a text that a stranger chose before it goes into a message.
func shorten(text string) string {
	const limit = 64
	if len(text) <= limit {
		return text
	}
	cut := limit
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// pathElement makes a stranger's key safe to be shown in a path.
func pathElement(key string) string {
	key = shorten(key)
	for _, r := range key {
		if r != '_' && r != '-' && r != '…' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return strconv.Quote(key)
		}
	}
	if key == "" {
		return `""`
	}
	return key
}
