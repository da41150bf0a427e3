package configschema

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// minForm is the shortest value, in bytes, that is looked for inside other
// text. Shorter ones would turn ordinary words into marks.
const minForm = 4

// NewRedactor returns a Replacer that puts mark in the place of each secret, in
// each of its Forms. The longest form wins, so that none leaves the tail of
// another.
func NewRedactor(secrets []string, mark string) *strings.Replacer {
	var all []string
	for _, secret := range secrets {
		all = append(all, Forms(secret)...)
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	all = slices.Compact(all)
	pairs := make([]string, 0, 2*len(all))
	for _, form := range all {
		pairs = append(pairs, form, mark)
	}
	return strings.NewReplacer(pairs...)
}

// Forms lists the texts in which a secret may turn up: as it is, escaped for a
// URL or for JSON, in hex, in base64, also in the middle of a longer base64
// text, and of several lines each longer one. A secret of less than four bytes
// has no forms.
func Forms(secret string) []string {
	out := encodings(secret)
	if trimmed := strings.TrimSpace(secret); trimmed != secret {
		out = append(out, encodings(trimmed)...)
	}
	// A key of several lines is usually printed line by line.
	if strings.ContainsAny(secret, "\n\r") {
		for line := range strings.FieldsFuncSeq(secret, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if line = strings.TrimSpace(line); len(line) >= 8 && !strings.HasPrefix(line, "-----") {
				out = append(out, encodings(line)...)
			}
		}
	}
	return out
}

func encodings(s string) []string {
	if len(s) < minForm {
		return nil
	}
	raw := []byte(s)
	out := []string{
		s,
		url.QueryEscape(s), url.PathEscape(s),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
	}
	out = append(out, jsonForms(s)...)
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if inner := insideBase64(enc, raw, shift); len(inner) > minForm {
				out = append(out, inner)
			}
		}
	}
	return out
}

// jsonForms returns s as it looks inside a JSON string, with and without the
// escapes for HTML that some encoders add, and as Go's %q writes it.
func jsonForms(s string) []string {
	var out []string
	for _, html := range []bool{true, false} {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(html)
		if enc.Encode(s) == nil {
			quoted := strings.TrimSuffix(buf.String(), "\n")
			inner := quoted[1 : len(quoted)-1]
			// Twice, for JSON that was put into a JSON string.
			twice, _ := json.Marshal(inner)
			out = append(out, inner, string(twice[1:len(twice)-1]))
		}
	}
	return out
}

// insideBase64 returns those characters that the secret alone decides when it
// stands shift bytes after a multiple of three in a longer text, such as in
// "user:password" of HTTP basic authentication.
func insideBase64(enc *base64.Encoding, secret []byte, shift int) string {
	padded := append(make([]byte, shift), secret...)
	text := enc.EncodeToString(padded)
	first := (shift*8 + 5) / 6
	last := len(padded) * 8 / 6
	if first >= last {
		return ""
	}
	return text[first:last]
}
