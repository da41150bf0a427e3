package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/orderport/orderport/host/internal/pluginhost/redact"
)

// listed is a schema whose configs are lists of secrets.
type listed struct{}

func (listed) SecretValues(config []byte) []string {
	var out []string
	json.Unmarshal(config, &out)
	return out
}

func learned(secrets ...string) *redact.Redactor {
	r := redact.New()
	raw, _ := json.Marshal(secrets)
	r.Learn(listed{}, raw)
	return r
}

func TestSecretIsFoundInEveryUsualForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringN(6, 40, 60).Draw(t, "secret")
		quoted, _ := json.Marshal(secret)
		basic := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + secret + "@tail")) }
		r := learned(secret)
		for name, text := range map[string]string{
			"raw": secret, "json": string(quoted), "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
			"hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
			"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
			"basic 0": basic(""), "basic 1": basic("a"), "basic 2": basic("ab"), "basic 3": basic("abc"),
		} {
			got := r.String("before " + text + " after")
			if !strings.Contains(got, redact.Mark) || strings.Contains(got, text) {
				t.Fatalf("%s form of %q stays: %q", name, secret, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Fatalf("%s form: what is around it is gone: %q", name, got)
			}
		}
	})
}

func TestLinesOfAKeyAreFoundOneByOne(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----\n"
	r := learned(key)
	for _, text := range []string{"AgEAAoIBAQC7VJTUt9Us8cKj", key, strconv.Quote(key)} {
		if got := r.String(text); strings.Contains(got, "AgEAAoIBAQC7") {
			t.Errorf("%q stays in %q", text, got)
		}
	}
	if got := r.String("-----BEGIN KEY-----"); got != "-----BEGIN KEY-----" {
		t.Errorf("what is no secret is gone: %q", got)
	}
}

func TestLongerSecretWinsOverAShorterOneInIt(t *testing.T) {
	t.Parallel()
	r := learned("pass", "password-long")
	if got := r.String("x password-long y"); got != "x "+redact.Mark+" y" {
		t.Errorf("got %q", got)
	}
}

func TestShortValuesDoNotSpoilOrdinaryText(t *testing.T) {
	t.Parallel()
	r := learned("a", "ftp")
	if got := r.String("an ftp server"); got != "an ftp server" {
		t.Errorf("got %q", got)
	}
}

func TestForgottenConfigsAreTheOldest(t *testing.T) {
	t.Parallel()
	r := redact.New()
	for n := range 8192 + 10 {
		r.Learn(listed{}, fmt.Appendf(nil, `["secret-%06d","shared-secret"]`, n))
	}
	for text, hidden := range map[string]bool{"secret-000001": false, "secret-008000": true, "secret-008201": true, "shared-secret": true} {
		if got := r.String(text) == redact.Mark; got != hidden {
			t.Errorf("%s hidden: %v", text, got)
		}
	}
}

func BenchmarkLearnKnownConfig(b *testing.B) {
	r, config := redact.New(), []byte(`["`+strings.Repeat("x", 2000)+`"]`)
	for b.Loop() {
		r.Learn(listed{}, config)
	}
}
