// Package payload keeps the exact bytes that were delivered, under storage
// keys such as "exports/<org id>/<file name>".
//
// There are two kinds of store: a directory, written durably, and
// S3-compatible object storage. [Open] makes one of a location.
package payload

import (
	"context"
	"crypto/sha256"
	"io"
	"net/url"
	"strings"

	"github.com/orderport/orderport/host/internal/fault"
)

// Store keeps payloads. It is safe for concurrent use. suite_test.go has the
// behaviour that every store must show.
type Store interface {
	// Put stores data under key. When it returns nil the bytes survive a crash
	// of the process and of the machine. It may be called again: the same
	// bytes change nothing, other bytes replace what is there, whole or not at
	// all. After an error either the old bytes are there or the new ones.
	// Concurrent calls for one key leave the bytes of one of them.
	// The error is a *fault.Error: Invalid "invalid_storage_key", or
	// Unavailable "payload_store_full", "payload_store_read_only" or
	// "payload_store_unavailable". data is not kept.
	Put(ctx context.Context, key string, data []byte) (Object, error)
	// Get returns the bytes under key; the caller closes the reader. It reads
	// them whole before it returns (a payload has at most some MiB), so the
	// object describes what the reader gives. The error is NotFound
	// "payload_not_found" if there is nothing, otherwise as for Put.
	Get(ctx context.Context, key string) (io.ReadCloser, Object, error)
	// Check stores something, reads it back and removes it.
	Check(ctx context.Context) error
	// Close releases what the store holds. Not to be called during a Put.
	Close() error
}

// Object says what is stored under a key.
type Object struct {
	Key    string
	Size   int64
	SHA256 [32]byte
}

func describe(key string, data []byte) Object {
	return Object{Key: key, Size: int64(len(data)), SHA256: sha256.Sum256(data)}
}

// checkPrefix starts the keys that Check uses.
const checkPrefix = "check/"

// Open opens the store at a location: a path or a file:// URL of a directory,
// which is made if it is not there, or s3://BUCKET for object storage. See
// openS3 for the parameters of an s3 URL.
//
// The error is a *fault.Error with Code "invalid_payload_url" for a location
// that means nothing here.
func Open(ctx context.Context, location string) (Store, error) {
	scheme, _, isURL := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, invalidLocation("no location is given")
	case !isURL:
		return OpenDir(location)
	case scheme != "file" && scheme != "s3":
		return nil, invalidLocation("scheme %q is not known", scheme)
	}
	u, err := url.Parse(location)
	if err != nil {
		// url's error repeats the location, which may hold a secret.
		return nil, invalidLocation("it can't be read as a URL")
	}
	if scheme == "s3" {
		return openS3(ctx, u)
	}
	if (u.Host != "" && u.Host != "localhost") || u.Path == "" || u.RawQuery != "" {
		return nil, invalidLocation("a file URL has three slashes and an absolute path, such as file:///var/lib/orderport/payloads")
	}
	return OpenDir(u.Path)
}

func invalidLocation(format string, args ...any) *fault.Error {
	e := fault.New(fault.Invalid, "invalid_payload_url", format, args...)
	e.Message = "payload store: " + e.Message
	return e.WithHint("set ORDERPORT_PAYLOAD_URL to a directory or to s3://BUCKET?region=REGION")
}

const maxKey = 900 // S3 allows 1,024 bytes

// checkKey keeps keys to what every store takes, and inside of it: elements
// of letters, digits, ".", "_" and "-", none of them starting with ".".
func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return invalidKey("a storage key has 1 to %d characters", maxKey)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element[0] == '.' || len(element) > 255 {
			return invalidKey("a part of a storage key is empty, too long or starts with a full stop")
		}
		for _, c := range []byte(element) {
			if !keyByte(c) {
				return invalidKey("a storage key has the character %q", c)
			}
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

func invalidKey(format string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_storage_key", format, args...)
}

func notFound(key string) error {
	return fault.New(fault.NotFound, "payload_not_found", "no payload is stored under %s", key)
}
