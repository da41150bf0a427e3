package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// Versions of sealed configs.
const (
	unbound = 0
	bound   = 1
)

const (
	ivSize  = 12
	tagSize = 16
)

// Why a blob does not open.
var (
	// ErrUnknownKey says that the blob names a key that the host doesn't have.
	// It opens again when the key is among the previous keys.
	ErrUnknownKey = errors.New("the config is sealed with a key that is not known here")
	// ErrNotOpenable says that the blob was changed or cut, belongs to another
	// row, or, if it names no key, was sealed with a key that is not known.
	ErrNotOpenable = errors.New("the config does not open: it was changed, moved from another connection, or sealed with another key")
)

// Binding says which row a blob belongs to.
type Binding struct {
	OrgID         uuid.UUID
	ConnectionID  uuid.UUID
	ConnectorType string
}

// BindingOf returns the binding of a connection's row.
func BindingOf(c domain.Connection) Binding {
	return Binding{OrgID: c.OrgID, ConnectionID: c.ID, ConnectorType: c.ConnectorType}
}

// data is unambiguous: the ids have a fixed length and the type comes last.
func (b Binding) data() []byte {
	return []byte(strings.Join([]string{
		"orderport/erp_connection/v1", b.OrgID.String(), b.ConnectionID.String(), b.ConnectorType,
	}, "\n"))
}

// Keyring seals and opens. It is safe for concurrent use and never changes.
type Keyring struct {
	keys []ringKey // the current key first
}

type ringKey struct {
	id   string
	aead func() cipher.AEAD // a function for the reason that Key has one
}

// NewKeyring returns a keyring that seals with current and opens with all of
// them. A key that is given twice counts once.
func NewKeyring(current Key, previous ...Key) *Keyring {
	r := &Keyring{}
	for _, key := range append([]Key{current}, previous...) {
		if !r.Has(key.ID()) {
			r.keys = append(r.keys, ringKey{id: key.ID(), aead: newAEAD(key)})
		}
	}
	return r
}

// newAEAD can't fail: the size of the key is fixed.
func newAEAD(key Key) func() cipher.AEAD {
	block, err := aes.NewCipher(key.secret())
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return func() cipher.AEAD { return aead }
}

// CurrentID returns the fingerprint of the key that seals.
func (r *Keyring) CurrentID() string { return r.keys[0].id }

// Has reports whether the keyring has the key with that fingerprint.
func (r *Keyring) Has(keyID string) bool {
	for _, k := range r.keys {
		if k.id == keyID {
			return true
		}
	}
	return false
}

// String names the keys by their fingerprints.
func (r *Keyring) String() string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return "keyring:" + strings.Join(ids, ",")
}

// Seal encrypts plain for the row that b names, with the current key. Sealing
// twice gives two different blobs.
func (r *Keyring) Seal(plain []byte, b Binding) (domain.SealedConfig, error) {
	current := r.keys[0]
	blob := make([]byte, ivSize, ivSize+len(plain)+tagSize)
	rand.Read(blob)
	return domain.SealedConfig{
		Blob:    current.aead().Seal(blob, blob, plain, b.data()),
		Version: bound,
		KeyID:   current.id,
	}, nil
}

// Open decrypts a config of the row that b names. It returns ErrUnknownKey or
// ErrNotOpenable, perhaps wrapped.
func (r *Keyring) Open(s domain.SealedConfig, b Binding) ([]byte, error) {
	var data []byte
	switch s.Version {
	case unbound:
	case bound:
		data = b.data()
	default:
		return nil, fmt.Errorf("seal version %d: %w", s.Version, ErrNotOpenable)
	}
	if len(s.Blob) < ivSize+tagSize {
		return nil, fmt.Errorf("%d bytes are too few: %w", len(s.Blob), ErrNotOpenable)
	}
	if s.KeyID != "" && !r.Has(s.KeyID) {
		return nil, fmt.Errorf("key %s: %w", s.KeyID, ErrUnknownKey)
	}
	for _, k := range r.keys {
		if s.KeyID != "" && s.KeyID != k.id {
			continue
		}
		if plain, err := k.aead().Open(nil, s.Blob[:ivSize], s.Blob[ivSize:], data); err == nil {
			return plain, nil
		}
	}
	return nil, ErrNotOpenable
}
