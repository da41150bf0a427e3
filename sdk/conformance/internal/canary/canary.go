// Package canary finds secrets in what a connector lets out, in all the forms
// that programs write values in.
package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form is one way of writing a secret.
type form struct{ name, text string }

// shortest is how many characters a piece must have that is looked for: a
// shorter one comes up by chance.
const shortest = 8

// Find returns how each secret shows in text, such as "in base64". The text of
// the secret is not in the answer.
func Find(text []byte, secrets []string) []string {
	var found []string
	for _, secret := range secrets {
		for _, piece := range pieces(secret) {
			for _, f := range forms(piece) {
				if len(f.text) >= shortest && bytes.Contains(text, []byte(f.text)) {
					found = append(found, fmt.Sprintf("%s: …%s…", f.name, around(text, f.text)))
					break
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// around shows where a secret was found, without the secret.
func around(text []byte, secret string) string {
	at := bytes.Index(text, []byte(secret))
	before := text[max(0, at-60):at]
	after := text[min(len(text), at+len(secret)):min(len(text), at+len(secret)+30)]
	return strconv.Quote(strings.ToValidUTF8(string(before), "?")) + " [the secret] " +
		strconv.Quote(strings.ToValidUTF8(string(after), "?"))
}

// pieces are the parts of a secret that give it away. Of a private key they are
// its lines but for the first and the last, whose text every key has.
func pieces(secret string) []string {
	lines := strings.Split(strings.TrimSpace(secret), "\n")
	if len(lines) < 3 {
		return []string{secret}
	}
	// The first lines of a key hold its public half, which is no secret.
	inner := lines[1 : len(lines)-1]
	return inner[len(inner)/2:]
}

func forms(secret string) []form {
	quoted, _ := json.Marshal(secret) //nolint:errchkjson // a text
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(secret)
	all := []form{
		{"as it is", secret},
		{"escaped as JSON", strings.Trim(string(quoted), `"`)},
		{"escaped as JSON", strings.Trim(strings.TrimSpace(plain.String()), `"`)},
		{"escaped for a query", url.QueryEscape(secret)},
		{"escaped for a path", url.PathEscape(secret)},
		{"quoted", strings.Trim(strconv.Quote(secret), `"`)},
		{"in hex", hex.EncodeToString([]byte(secret))},
		{"in hex", strings.ToUpper(hex.EncodeToString([]byte(secret)))},
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			all = append(all, form{"in base64", inner64(encoding, secret, shift)})
		}
	}
	if len(secret) >= 3*shortest {
		all = append(all, form{"in part", secret[:shortest]}, form{"in part", secret[len(secret)-shortest:]})
	}
	return all
}

// inner64 is what a secret looks like in base64 when so many bytes are before
// it, without the characters at either end that depend on its neighbours.
func inner64(encoding *base64.Encoding, secret string, shift int) string {
	encoded := encoding.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), secret...))
	start := []int{0, 2, 3}[shift]
	end := len(encoded) - 1
	if start >= end {
		return ""
	}
	return encoded[start:end]
}
