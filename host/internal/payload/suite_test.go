package payload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"gocloud.dev/blob/memblob"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/payload"
)

func TestADirectoryBehavesAsAStore(t *testing.T) {
	t.Parallel()
	runSuite(t, func(t *testing.T) payload.Store { return open(t, t.TempDir()) })
}

func TestADirectoryWithTinyJournalsBehavesAsAStore(t *testing.T) {
	t.Parallel()
	runSuite(t, func(t *testing.T) payload.Store {
		d, err := payload.OpenDirWithLimit(t.TempDir(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestABucketInMemoryBehavesAsAStore(t *testing.T) {
	t.Parallel()
	runSuite(t, func(*testing.T) payload.Store { return payload.NewBucketStore(memblob.OpenBucket(nil)) })
}

// Not parallel: credentials for S3 come from the environment.
func TestAnS3ServiceBehavesAsAStore(t *testing.T) {
	runSuite(t, func(t *testing.T) payload.Store { return open(t, startS3(t, "orders", "")) })
}

func TestAnS3ServiceWithAPrefixBehavesAsAStore(t *testing.T) {
	runSuite(t, func(t *testing.T) payload.Store { return open(t, startS3(t, "orders", "orderport/")) })
}

// startS3 starts an S3-compatible server and returns the location of a bucket.
func startS3(t *testing.T, bucket, prefix string) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	query := url.Values{"endpoint": {server.URL}, "region": {"eu-central-1"}, "use_path_style": {"true"}}
	if prefix != "" {
		query.Set("prefix", prefix)
	}
	return "s3://" + bucket + "?" + query.Encode()
}

func open(t *testing.T, location string) payload.Store {
	t.Helper()
	s, err := payload.Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runSuite is the behaviour that every store must show.
func runSuite(t *testing.T, start func(*testing.T) payload.Store) {
	for name, test := range map[string]func(*testing.T, payload.Store){
		"what was put is got back":                         testRoundTrip,
		"the same bytes may be put again":                  testSameAgain,
		"other bytes replace":                              testReplace,
		"a key that was not put is not found":              testNotFound,
		"keys that lead elsewhere are refused":             testKeys,
		"concurrent puts do not disturb each other":        testConcurrentKeys,
		"concurrent puts of one key leave one of them":     testConcurrentKey,
		"a check passes and leaves nothing":                testCheck,
		"a cancelled put fails":                            testCancelled,
		"the caller may change its bytes after a put":      testNotKept,
		"a key may be a prefix of another, as a file name": testPrefixKeys,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

const orgFolder = "exports/4b8f9a52-9c2f-4d4e-8f0e-0b5c2f6d1a11/"

func put(t *testing.T, s payload.Store, key string, data []byte) payload.Object {
	t.Helper()
	o, err := s.Put(t.Context(), key, data)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return o
}

func get(t *testing.T, s payload.Store, key string) []byte {
	t.Helper()
	reader, o, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	data, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	want := payload.Object{Key: key, Size: int64(len(data)), SHA256: sha256.Sum256(data)}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("object of %s:\n%s", key, diff)
	}
	return data
}

func wantGot(t *testing.T, s payload.Store, key string, want []byte) {
	t.Helper()
	if got := get(t, s, key); !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, want %d others", key, len(got), len(want))
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v, want code %s", err, code)
	}
}

func testRoundTrip(t *testing.T, s payload.Store) {
	for _, size := range []int{0, 1, 4096, 3 << 20} {
		key := fmt.Sprint(orgFolder, "a_", size, ".json")
		data := bytes.Repeat([]byte{0, 255, '\n', 'x'}, size/4+1)[:size]
		want := payload.Object{Key: key, Size: int64(size), SHA256: sha256.Sum256(data)}
		if diff := cmp.Diff(want, put(t, s, key, data)); diff != "" {
			t.Error(diff)
		}
		wantGot(t, s, key, data)
	}
}

func testSameAgain(t *testing.T, s payload.Store) {
	first := put(t, s, orgFolder+"a", []byte("one"))
	if second := put(t, s, orgFolder+"a", []byte("one")); first != second {
		t.Errorf("%+v is not %+v", second, first)
	}
	wantGot(t, s, orgFolder+"a", []byte("one"))
}

func testReplace(t *testing.T, s payload.Store) {
	put(t, s, orgFolder+"a", []byte("a longer text than the next"))
	put(t, s, orgFolder+"a", []byte("two"))
	wantGot(t, s, orgFolder+"a", []byte("two"))
}

func testNotFound(t *testing.T, s payload.Store) {
	put(t, s, orgFolder+"a", []byte("x"))
	for _, key := range []string{orgFolder + "b", "exports", "exports/other/a", orgFolder + "a/b"} {
		_, _, err := s.Get(t.Context(), key)
		wantCode(t, err, "payload_not_found")
		if fault.From(err).Kind != fault.NotFound {
			t.Errorf("%s: kind %d", key, fault.From(err).Kind)
		}
	}
}

func testKeys(t *testing.T, s payload.Store) {
	keys := []string{
		"", "/", "/etc/passwd", "..", "../a", "a/../b", "a/./b", "a//b", "a/", ".tmp/x", ".journal/x", "a/.b",
		`a\b`, "a b", "a\x00b", "ä", "a:b", "a%2fb", strings.Repeat("a", 256), strings.Repeat("a/", 500) + "a",
	}
	for _, key := range keys {
		_, err := s.Put(t.Context(), key, []byte("x"))
		wantCode(t, err, "invalid_storage_key")
		_, _, err = s.Get(t.Context(), key)
		wantCode(t, err, "invalid_storage_key")
	}
}

func testConcurrentKeys(t *testing.T, s payload.Store) {
	var wg sync.WaitGroup
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100+i) }
	key := func(i int) string { return fmt.Sprintf("exports/org-%d/file_%d.json", i%3, i) }
	for i := range 64 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), key(i), content(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 64 {
		wantGot(t, s, key(i), content(i))
	}
}

func testConcurrentKey(t *testing.T, s payload.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), orgFolder+"a", bytes.Repeat([]byte{byte('a' + i)}, 1000+i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := get(t, s, orgFolder+"a")
	if want := bytes.Repeat(got[:1], 1000+int(got[0]-'a')); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that nobody put", len(got))
	}
}

func testCheck(t *testing.T, s payload.Store) {
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func testCancelled(t *testing.T, s payload.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, orgFolder+"a", []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, _, err := s.Get(ctx, orgFolder+"a"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
}

func testNotKept(t *testing.T, s payload.Store) {
	data := []byte("before")
	put(t, s, orgFolder+"a", data)
	copy(data, "after!")
	wantGot(t, s, orgFolder+"a", []byte("before"))
}

func testPrefixKeys(t *testing.T, s payload.Store) {
	put(t, s, orgFolder+"a", []byte("1"))
	put(t, s, orgFolder+"a.json", []byte("2"))
	wantGot(t, s, orgFolder+"a", []byte("1"))
	wantGot(t, s, orgFolder+"a.json", []byte("2"))
}
