package canary

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

const secret = `Cn+/&"QWERTYUIOPASDFGHJKLZXCVB`

func TestFindSeesASecretInEveryForm(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"plain":          "password " + secret + "!",
		"JSON":           `{"password":"` + strings.ReplaceAll(secret, `"`, `\"`) + `"}`,
		"JSON for HTML":  `{"password":"Cn+/\u0026\"QWERTYUIOPASDFGHJKLZXCVB"}`,
		"query":          "https://x/?p=" + url.QueryEscape(secret),
		"path":           "https://x/" + url.PathEscape(secret),
		"quoted":         strconv.Quote(secret),
		"hex":            hex.EncodeToString([]byte(secret)),
		"base64":         base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 of more": base64.StdEncoding.EncodeToString([]byte("user:" + secret + "@host")),
		"base64 shifted": base64.StdEncoding.EncodeToString([]byte("u" + secret)),
		"base64 for URL": base64.RawURLEncoding.EncodeToString([]byte("us" + secret)),
		"its end":        "ends with " + secret[len(secret)-8:],
		"its beginning":  "starts with " + secret[:8],
	} {
		found := Find([]byte(text), []string{secret})
		if len(found) == 0 {
			t.Errorf("%s: not found in %s", name, text)
		}
		if strings.Contains(strings.Join(found, ""), "QWERTYUIOPASDFGH") {
			t.Errorf("%s: the answer shows it: %q", name, found)
		}
	}
}

func TestFindSeesLinesOfAPrivateKey(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\npublicpublicpublic\nmiddlemiddlemiddle\nprivateprivateprivate\n-----END OPENSSH PRIVATE KEY-----\n"
	if Find([]byte("log: privateprivateprivate"), []string{key}) == nil {
		t.Error("a line of the key is not found")
	}
	if found := Find([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\npublicpublicpublic"), []string{key}); found != nil {
		t.Errorf("what every key has, and its public half, is no secret: %q", found)
	}
}

func TestFindSeesNothingElsewhere(t *testing.T) {
	t.Parallel()
	if found := Find([]byte("Cn+ [secret] QWERTY and the rest"), []string{secret}); found != nil {
		t.Errorf("found %q", found)
	}
}
