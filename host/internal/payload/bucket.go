package payload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"

	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

// bucketStore is a store in a bucket of object storage. Object storage is
// durable when it has answered.
type bucketStore struct{ bucket *blob.Bucket }

// openS3 opens s3://BUCKET. Parameters of the URL, all optional: region,
// endpoint (the URL of an S3-compatible service), use_path_style=true (most of
// those need it), prefix (put before every key, such as "orderport/"), profile
// and the others that gocloud.dev/blob/s3blob knows. Credentials come from
// where AWS programs look for them, never from the URL.
func openS3(ctx context.Context, u *url.URL) (Store, error) {
	if u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") {
		return nil, invalidLocation("an s3 URL is s3://BUCKET and parameters, without credentials or a path")
	}
	query := u.Query()
	prefix := query.Get("prefix")
	query.Del("prefix")
	// Services other than AWS often refuse checksums that they don't need.
	for _, key := range []string{"request_checksum_calculation", "response_checksum_validation"} {
		if !query.Has(key) {
			query.Set(key, "when_required")
		}
	}
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: query.Encode()}
	bucket, err := new(s3blob.URLOpener).OpenBucketURL(ctx, &plain)
	if err != nil {
		return nil, invalidLocation("the s3 URL can't be used").Because(err)
	}
	if prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix)
	}
	return newBucketStore(bucket), nil
}

func newBucketStore(bucket *blob.Bucket) Store { return &bucketStore{bucket: bucket} }

// Put implements Store.
func (s *bucketStore) Put(ctx context.Context, key string, data []byte) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	if err := ctx.Err(); err != nil { // not every driver looks
		return Object{}, explain("put "+key, err)
	}
	if err := s.bucket.WriteAll(ctx, key, data, nil); err != nil {
		return Object{}, explain("put "+key, err)
	}
	return describe(key, data), nil
}

// Get implements Store.
func (s *bucketStore) Get(ctx context.Context, key string) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	data, err := s.bucket.ReadAll(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, Object{}, notFound(key)
	}
	if err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	return io.NopCloser(bytes.NewReader(data)), describe(key, data), nil
}

// Check implements Store.
func (s *bucketStore) Check(ctx context.Context) error {
	return check(ctx, s, func(string) error { return nil }, func(key string) error { return s.bucket.Delete(ctx, key) })
}

// Close implements Store.
func (s *bucketStore) Close() error {
	if err := s.bucket.Close(); err != nil {
		return errors.Join(errors.New("close payload store"), err)
	}
	return nil
}
