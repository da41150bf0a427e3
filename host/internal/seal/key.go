package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/orderport/orderport/host/internal/fault"
)

const keySize = 32

// keyDomain keeps a key's fingerprint apart from every other use of SHA-256
// on the same bytes.
const keyDomain = "orderport/key-id/v1\n"

// Key is a master key. It shows its fingerprint, never itself, however it is
// printed; only Reveal gives it away. The zero Key is not usable.
type Key struct {
	// A function, because that is the one kind of value that fmt never looks
	// into: in a private field of another struct it can't call Format, and
	// with a verb that does not fit it follows pointers.
	secret func() []byte
}

func newKey(secret []byte) Key { return Key{secret: func() []byte { return secret }} }

// GenerateKey makes a new random key.
func GenerateKey() Key {
	secret := make([]byte, keySize)
	rand.Read(secret) // never fails: it ends the program if it can't
	return newKey(secret)
}

// ParseKey reads a key from 64 hexadecimal characters; white space around
// them is ignored. Its error is a *fault.Error that says how to make a key and
// does not repeat what was given.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Key{}, invalidKey("no master key is set")
	case len(text) != 2*keySize:
		return Key{}, invalidKey("the master key has %d characters instead of %d", len(text), 2*keySize)
	}
	secret, err := hex.DecodeString(text)
	if err != nil {
		// hex's own error would show a character of the key.
		return Key{}, invalidKey("the master key has characters that are not hexadecimal digits")
	}
	if bytes.Equal(secret, make([]byte, keySize)) {
		return Key{}, invalidKey("the master key is all zeros")
	}
	return newKey(secret), nil
}

func invalidKey(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_master_key", format, args...).
		WithHint("make one with `orderport key generate` and set ENCRYPTION_MASTER_KEY to it (64 hexadecimal characters)")
}

// ID returns the key's fingerprint: 16 hexadecimal digits that name it and
// tell nothing about it.
func (k Key) ID() string {
	if k.secret == nil {
		return "none"
	}
	sum := sha256.Sum256(append([]byte(keyDomain), k.secret()...))
	return hex.EncodeToString(sum[:8])
}

// Reveal returns the key as ParseKey reads it. It is for the one command that
// shows a new key to its owner.
func (k Key) Reveal() string { return hex.EncodeToString(k.secret()) }

// String returns the fingerprint, marked as one.
func (k Key) String() string { return "key:" + k.ID() }

// Format prints the fingerprint whatever the verb is.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is the fingerprint.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is the fingerprint.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// IsZero reports whether k is no key.
func (k Key) IsZero() bool { return k.secret == nil }
