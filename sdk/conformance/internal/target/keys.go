package target

import (
	"crypto/ed25519"
	"strings"

	"golang.org/x/crypto/ssh"
)

// anotherKey returns a host key that no server has, as a line and fingerprint.
func anotherKey() (line, fingerprint string) {
	private := ed25519.NewKeyFromSeed([]byte("a host key that no server has..."))
	key, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return "", ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), ssh.FingerprintSHA256(key)
}

// keyOf takes the host off a line of a known_hosts file.
func keyOf(line string) string {
	_, key, _ := strings.Cut(line, " ")
	return key
}
