package connlog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the fields of one record.
const (
	maxFields = 32
	maxKey    = 64
	maxValue  = 1 << 10
)

// record is what one line says.
type record struct {
	level      slog.Level
	message    string
	fields     []field
	structured bool // the line was a JSON object
}

type field struct{ key, value string }

// parse reads one line: a JSON object as hclog or slog writes it, or plain
// text. It takes every field's type as a guess that may be wrong.
func parse(line []byte) record {
	trimmed := bytes.TrimSpace(line)
	var raw map[string]json.RawMessage
	if len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(trimmed, &raw) != nil {
		return record{level: plainLevel(trimmed), message: string(line)}
	}
	rec := record{level: slog.LevelInfo, structured: true}
	if level, ok := take(raw, "@level", "level"); ok {
		rec.level = levelOf(level)
	}
	message, ok := take(raw, "@message", "msg", "message")
	if !ok {
		// JSON, but no log record that we know: shown as it is.
		return record{level: rec.level, message: string(line), structured: true}
	}
	rec.message = message
	for _, known := range []string{"@timestamp", "@caller", "time", "timestamp"} {
		delete(raw, known)
	}
	rec.fields = fieldsOf(raw)
	return rec
}

// take returns the first of the keys that holds a text, and removes it.
func take(raw map[string]json.RawMessage, keys ...string) (string, bool) {
	for _, k := range keys {
		var s string
		if v, ok := raw[k]; ok && len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil {
			delete(raw, k)
			return s, true
		}
	}
	return "", false
}

func fieldsOf(raw map[string]json.RawMessage) []field {
	out := make([]field, 0, len(raw))
	for k, v := range raw {
		out = append(out, field{k, text(v)})
	}
	slices.SortFunc(out, func(a, b field) int { return cmp.Compare(a.key, b.key) })
	return out[:min(len(out), maxFields)]
}

// text is a JSON value as text. Nested values are written anew, so that no
// unusual escape hides a secret.
func text(v json.RawMessage) string {
	var value any
	dec := json.NewDecoder(bytes.NewReader(v))
	dec.UseNumber()
	if dec.Decode(&value) != nil {
		return string(v)
	}
	if s, ok := value.(string); ok {
		return s
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(value) != nil {
		return string(v)
	}
	return strings.TrimSuffix(buf.String(), "\n")
}

func levelOf(name string) slog.Level {
	switch strings.ToLower(name) {
	case "trace":
		return slog.LevelDebug - 4
	case "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal", "panic", "critical":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// plainLevel guesses the level of a line of plain text.
func plainLevel(line []byte) slog.Level {
	if name, _, ok := bytes.Cut(line, []byte("]")); ok && len(name) > 1 && len(name) < 8 && name[0] == '[' {
		return levelOf(string(name[1:]))
	}
	if startsPanic(line) {
		return slog.LevelError
	}
	return slog.LevelInfo
}

func printable(r rune) rune {
	if r == '\t' || !unicode.IsGraphic(r) {
		return ' '
	}
	return r
}

// clip cuts s to at most limit bytes at the edge of a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
