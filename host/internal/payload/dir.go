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

// Hidden directories of a store; no key can name them.
const (
	tempDir    = ".tmp"
	journalDir = ".journal"
)

const (
	journalSuffix = ".journal"
	journalTemp   = ".new"

	// journalLimit is when a journal is retired. It bounds how long OpenDir
	// takes after a crash, and how often the whole file system is flushed.
	journalLimit = 16 << 20

	// tempAge is when a temporary file is surely nobody's any more: other
	// processes may have the same directory open.
	tempAge = time.Hour

	dirMode  = 0o700
	fileMode = 0o600
)

// Dir is a store in a directory: every payload is a file of its own, readable
// by every program. Several processes of a machine may have one directory open.
//
// A Put is durable before it is visible, at the price of a share in one flush:
// its bytes go to a journal together with those of all Puts that wait, the
// journal is flushed, and then the file is written and renamed to its name
// without a flush of its own. OpenDir applies what is left in the journals of
// processes that have died. A full journal is removed after the whole file
// system was flushed.
type Dir struct {
	root  string
	limit int64 // size at which a journal is retired
	keys  keyLocks

	mu       sync.Mutex
	current  *journal        // nil until the first Put
	last     time.Time       // time of the last Put: each is later than the one before
	known    map[string]bool // directories that exist
	failed   error           // why a journal could not be retired
	retiring sync.WaitGroup
}

// OpenDir opens the store in a directory and makes it if it is not there. It
// finishes and removes what a process that died has left behind.
func OpenDir(path string) (*Dir, error) { return openDir(path, journalLimit) }

func openDir(path string, limit int64) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, explain("open", err)
	}
	d := &Dir{root: root, limit: limit, known: make(map[string]bool)}
	for _, dir := range []string{d.root, d.temps(), d.journals()} {
		if err := durableDir(dir); err != nil {
			return nil, explain("open", err)
		}
	}
	if err := errors.Join(d.recover(), d.sweep(time.Now())); err != nil {
		return nil, explain("open", err)
	}
	return d, nil
}

func (d *Dir) temps() string          { return filepath.Join(d.root, tempDir) }
func (d *Dir) journals() string       { return filepath.Join(d.root, journalDir) }
func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// durableDir makes a directory and its parents, and flushes each into its
// parent. It does so even for one that was there: whoever made it may not have
// got so far.
func durableDir(path string) error {
	parent := filepath.Dir(path)
	err := os.Mkdir(path, dirMode)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := durableDir(parent); err != nil {
			return err
		}
		err = os.Mkdir(path, dirMode)
	}
	existed := errors.Is(err, fs.ErrExist)
	if err != nil && !existed {
		return err
	}
	err = syncDir(parent)
	if existed && errors.Is(err, fs.ErrPermission) {
		return nil // an administrator made it, in a place that is not ours to read
	}
	return err
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, data []byte) (Object, error) {
	if err := checkKey(key); err != nil {
		return Object{}, err
	}
	if len(data) > maxPayload {
		return Object{}, fault.New(fault.TooLarge, "payload_too_large", "payload has %d bytes, more than %d", len(data), maxPayload)
	}
	if err := ctx.Err(); err != nil {
		return Object{}, explain("put "+key, err)
	}
	// What is visible in the end and what the journal has last must be the same.
	defer d.keys.lock(key)()
	if err := d.put(key, data); err != nil {
		return Object{}, explain("put "+key, err)
	}
	return describe(key, data), nil
}

func (d *Dir) put(key string, data []byte) error {
	j, at, err := d.begin()
	if err != nil {
		return err
	}
	defer j.puts.Done()
	r := record{at: at, key: key, data: data}
	if err := j.append(r.encode()); err != nil {
		return err
	}
	return d.publish(r)
}

// begin returns the journal to use, and the time of the Put. The caller ends
// with puts.Done.
func (d *Dir) begin() (*journal, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil && !d.current.usable(d.limit) {
		d.retire()
	}
	if d.current == nil {
		j, err := createJournal(d.journals())
		if err != nil {
			return nil, time.Time{}, err
		}
		d.current = j
	}
	now := time.Now().Round(0)
	if !now.After(d.last) {
		now = d.last.Add(1)
	}
	d.last = now
	d.current.puts.Add(1)
	return d.current, now, nil
}

// retire ends the current journal in the background. The caller holds mu.
func (d *Dir) retire() {
	j := d.current
	d.current = nil
	d.retiring.Go(func() {
		if err := j.retire(d.root); err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.failed = err
		}
	})
}

// publish makes the file of a durable record visible, whole or not at all.
func (d *Dir) publish(r record) error {
	temp, err := d.writeTemp(r)
	if err != nil {
		return err
	}
	target := d.path(r.key)
	if err = d.makeParent(target); err == nil {
		err = os.Rename(temp, target)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody has removed the directory meanwhile.
		d.forget(target)
		if err = d.makeParent(target); err == nil {
			err = os.Rename(temp, target)
		}
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// writeTemp writes a temporary file; on an error nothing is left.
func (d *Dir) writeTemp(r record) (path string, err error) {
	path = filepath.Join(d.temps(), rand.Text())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", err
	}
	_, err = file.Write(r.data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chtimes(path, r.at, r.at) // see reapply
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return path, err
}

func (d *Dir) makeParent(target string) error {
	parent := filepath.Dir(target)
	d.mu.Lock()
	known := d.known[parent]
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := os.MkdirAll(parent, dirMode); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[parent] = true
	return nil
}

func (d *Dir) forget(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, filepath.Dir(target))
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	data, err := os.ReadFile(d.path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return nil, Object{}, notFound(key)
	}
	if err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	return io.NopCloser(bytes.NewReader(data)), describe(key, data), nil
}

// Check implements Store. It also reports a journal that could not be retired.
func (d *Dir) Check(ctx context.Context) error {
	d.mu.Lock()
	failed := d.failed
	d.mu.Unlock()
	if failed != nil {
		return explain("retire journal", failed)
	}
	return check(ctx, d, func(key string) error { return os.Remove(d.path(key)) })
}

// Close retires the journal, so that the next OpenDir has nothing to do.
func (d *Dir) Close() error {
	d.mu.Lock()
	if d.current != nil {
		d.retire()
	}
	d.mu.Unlock()
	d.retiring.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return explain("close", d.failed)
	}
	return nil
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
