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
	// takes after a crash, how often the whole file system is flushed, and how
	// many payloads wait for files of their own.
	journalLimit = 32 << 20

	// tempAge is when a temporary file is surely nobody's any more: other
	// processes may have the same directory open.
	tempAge = time.Hour

	dirMode  = 0o700
	fileMode = 0o600
)

// Dir is a store in a directory: every payload becomes a file of its own,
// readable by every program. Several processes of a machine may have one
// directory open.
//
// A Put costs a share in one flush: its bytes go to a journal together with
// those of all Puts that wait, and the journal is flushed. The file is written
// later, when there is time or when the journal is full; see backlog. A journal
// is removed after all its payloads are files and the whole file system was
// flushed. OpenDir applies what is left in the journals of processes that have
// died.
type Dir struct {
	root  string
	limit int64 // size at which a journal is retired

	mu      sync.Mutex
	current *journal // guarded by mu: nil until the first Put
	// full are the journals that take no more, the oldest first.
	full   []*journal      // guarded by mu
	last   time.Time       // guarded by mu: of the last Put: each is later than the one before
	known  map[string]bool // guarded by mu: directories that exist
	failed error           // guarded by mu: why the last payload could not become a file; nil: it could
	// unretired is why a journal could not be retired.
	unretired error // guarded by mu
	backlog   backlog
}

// OpenDir opens the store in a directory and makes it if it is not there. It
// finishes and removes what a process that died has left behind.
func OpenDir(path string) (*Dir, error) { return openDir(path, journalLimit) }

func openDir(path string, limit int64) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, explain("open", err)
	}
	d := &Dir{root: root, limit: limit, known: make(map[string]bool), backlog: newBacklog()}
	for _, dir := range []string{d.root, d.temps(), d.journals()} {
		if err := durableDir(dir); err != nil {
			return nil, explain("open", err)
		}
	}
	err = d.recover()
	if errors.Is(err, errHeld) {
		d.backlog.worker.Go(d.recoverLater)
		err = nil
	}
	if err := errors.Join(err, d.sweep(time.Now())); err != nil {
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
	offset, err := j.append(r.encode())
	if err != nil {
		return err
	}
	d.note(key, place{journal: j, at: at, offset: offset + recordHeader + int64(len(key)), size: len(data)})
	return nil
}

// begin returns the journal to use, and the time of the Put. The caller ends
// with puts.Done.
func (d *Dir) begin() (*journal, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil && !d.current.usable(d.limit) {
		d.setAside()
	}
	if d.current == nil {
		if len(d.full) > maxFull && d.failed != nil {
			return nil, time.Time{}, d.failed
		}
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

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Object, error) {
	if err := checkKey(key); err != nil {
		return nil, Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	data, err := d.find(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Object{}, notFound(key)
	}
	if err != nil {
		return nil, Object{}, explain("get "+key, err)
	}
	return io.NopCloser(bytes.NewReader(data)), describe(key, data), nil
}

// Check implements Store. It also reports payloads that could not become files,
// and a journal that could not be retired.
func (d *Dir) Check(ctx context.Context) error {
	d.mu.Lock()
	failed := errors.Join(d.failed, d.unretired)
	d.mu.Unlock()
	if failed != nil {
		return explain("write files", failed)
	}
	return check(ctx, d, d.publishNow, d.remove)
}

// remove takes a payload away whose place nobody needs to know.
func (d *Dir) remove(key string) error {
	d.mu.Lock()
	_, waits := d.backlog.places[key]
	delete(d.backlog.places, key)
	d.mu.Unlock()
	err := os.Remove(d.path(key))
	if waits && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close writes the files that are still to be written and retires the journals,
// so that the next OpenDir has nothing to do.
func (d *Dir) Close() error {
	if err := d.drain(); err != nil {
		return explain("close", err)
	}
	return nil
}

// explain turns an error of the operating system into one for a person.
func explain(operation string, err error) error {
	code, reason, hint := "payload_store_unavailable", "can't be used", ""
	switch {
	case errors.Is(err, errForeignJournal):
		reason = "has a journal of another version of orderport"
		hint = "start the version that wrote it once more and stop it: that empties its journals"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		code, reason = "payload_store_full", "is full"
	case errors.Is(err, unix.EROFS):
		code, reason = "payload_store_read_only", "is read-only"
	case errors.Is(err, fs.ErrPermission):
		reason = "may not be accessed by this user"
	}
	return fault.New(fault.Unavailable, code, "payload store %s", reason).WithHint("%s", hint).
		Because(fmt.Errorf("%s: %w", operation, err))
}

// check is what Check does for every store. settle puts what was stored where
// it belongs, at once.
func check(ctx context.Context, s Store, settle, remove func(key string) error) error {
	key := checkPrefix + strings.ToLower(rand.Text())
	want := []byte("orderport checks its payload store\n")
	if _, err := s.Put(ctx, key, want); err != nil {
		return err
	}
	if err := settle(key); err != nil {
		return explain("check", err)
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
