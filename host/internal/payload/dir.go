package payload

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/fault"
)

const (
	// tempDir is inside of the store, so a rename out of it stays within one
	// file system. No key can name it.
	tempDir = ".tmp"
	// tempAge is when a temporary file is surely nobody's any more: other
	// processes may have the same directory open.
	tempAge = time.Hour

	dirMode  = 0o700
	fileMode = 0o600
)

// Dir is a store in a directory. A Put is durable before it is visible: the
// bytes are flushed, then the file is renamed to its name, then the directory
// is flushed. Concurrent Puts share the flushes of directories.
type Dir struct {
	root string

	mu   sync.Mutex
	dirs map[string]*dirSync // by path; those that are known to be durable
}

// OpenDir opens the store in a directory and makes it if it is not there. It
// removes what a process that died has left behind.
func OpenDir(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, explain("open", err)
	}
	d := &Dir{root: root, dirs: make(map[string]*dirSync)}
	if _, err := d.durableDir(filepath.Join(root, tempDir)); err != nil {
		return nil, explain("open", err)
	}
	if err := d.sweep(time.Now()); err != nil {
		return nil, explain("open", err)
	}
	return d, nil
}

// sweep removes temporary files that a dead process has left.
func (d *Dir) sweep(now time.Time) error {
	entries, err := os.ReadDir(filepath.Join(d.root, tempDir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || now.Sub(info.ModTime()) < tempAge {
			continue
		}
		// Best effort: a read-only store can still be read.
		_ = os.Remove(filepath.Join(d.root, tempDir, entry.Name()))
	}
	return nil
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, data []byte) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return Object{}, explain("put", err)
	}
	if err := d.put(d.path(key), data); err != nil {
		return Object{}, explain("put "+key, err)
	}
	return describe(key, data), nil
}

func (d *Dir) put(target string, data []byte) error {
	parent, err := d.durableDir(filepath.Dir(target))
	if err != nil {
		return err
	}
	temp, err := d.writeTemp(data)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, target); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return parent.sync()
}

// writeTemp writes and flushes a temporary file; on an error nothing is left.
func (d *Dir) writeTemp(data []byte) (path string, err error) {
	path = filepath.Join(d.root, tempDir, rand.Text())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	if _, err := file.Write(data); err != nil {
		return "", err
	}
	return path, file.Sync()
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, Object{}, explain("get", err)
	}
	data, err := os.ReadFile(d.path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, Object{}, notFound(key)
	}
	if err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	return io.NopCloser(bytes.NewReader(data)), describe(key, data), nil
}

// Check implements Store.
func (d *Dir) Check(ctx context.Context) error {
	return check(ctx, d, func(key string) error { return os.Remove(d.path(key)) })
}

// Close implements Store. It has nothing to do.
func (d *Dir) Close() error { return nil }

func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// durableDir returns the syncer of a directory that exists durably, together
// with all its parents. Each is made and flushed into its parent once.
func (d *Dir) durableDir(path string) (*dirSync, error) {
	d.mu.Lock()
	known := d.dirs[path]
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	err := os.Mkdir(path, dirMode)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := d.durableDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
		if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	case err != nil && !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	// Flushed even if it was there: whoever made it may not have got so far.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[path] == nil {
		d.dirs[path] = &dirSync{path: path}
	}
	return d.dirs[path], nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

// explain turns an error of the operating system into one for a person.
func explain(operation string, err error) error {
	code, reason := "payload_store_unavailable", "can't be used"
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		code, reason = "payload_store_full", "is full"
	case errors.Is(err, unix.EROFS):
		code, reason = "payload_store_read_only", "is read-only"
	case errors.Is(err, fs.ErrPermission):
		reason = "may not be accessed by this user"
	}
	return fault.New(fault.Unavailable, code, "payload store %s", reason).
		Because(fmt.Errorf("%s: %w", operation, err))
}

// check is what Check does for every store.
func check(ctx context.Context, s Store, remove func(key string) error) error {
	key := checkPrefix + strings.ToLower(rand.Text())
	want := []byte("orderport checks its payload store\n")
	if _, err := s.Put(ctx, key, want); err != nil {
		return err
	}
	reader, _, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	got, err := io.ReadAll(reader)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("what was read is not what was written")
	}
	if removeErr := remove(key); err == nil {
		err = removeErr
	}
	if err != nil {
		return explain("check", err)
	}
	return nil
}
