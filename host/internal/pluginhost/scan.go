package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/orderport/orderport/host/internal/pluginhost/lock"
	sdkport "github.com/orderport/orderport/sdk/port"
)

// Rescan looks at the plugin directory now and takes over what has changed.
// What was quarantined or is in backoff is tried again at once. It returns when
// every file has been looked at and its first try is over, or with ctx.
func (h *Host) Rescan(ctx context.Context) error {
	if err := h.scan(ctx, true); err != nil {
		return err
	}
	h.settle(ctx)
	return ctx.Err()
}

// scan compares the plugin directory with the units. With force every file is
// looked at, otherwise only what seems to have changed.
func (h *Host) scan(ctx context.Context, force bool) error {
	h.scanning.Lock()
	defer h.scanning.Unlock()
	lockFile, lockChanged, err := h.readLock()
	if err != nil {
		return err
	}
	files, err := Candidates(h.opts.Dir)
	if err != nil {
		return err
	}
	files = append(files, h.attachable()...)
	var asked []*request
	for _, path := range files {
		if !h.wanted(lockFile, filepath.Base(path)) {
			continue
		}
		if req := h.consider(path, lockFile, lockChanged, force); req != nil {
			asked = append(asked, req)
		}
	}
	h.dropMissing(files, force)
	for _, req := range asked {
		select {
		case <-req.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.ctx.Done():
			return errStopped
		}
	}
	return nil
}

// readLock reads the lock file if it has changed. A lock file that can't be
// read must not stop what runs: the last good one stays in force.
func (h *Host) readLock() (_ *lock.File, changed bool, err error) {
	st, err := stampOf(filepath.Join(h.opts.Dir, lock.FileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("read lock file: %w", err)
	}
	h.mu.Lock()
	known := h.lock
	h.mu.Unlock()
	if known != nil && st == h.lockSeen {
		return known, false, nil
	}
	fresh, err := lock.Load(h.opts.Dir)
	if err != nil {
		if known == nil && !h.opts.Dev {
			return nil, false, err
		}
		h.log.Error("lock file can't be used, the last good one stays in force", "error", err)
		if fresh = known; known == nil {
			fresh = &lock.File{}
		}
	}
	h.lockSeen = st
	h.mu.Lock()
	h.lock = fresh
	h.mu.Unlock()
	return fresh, fresh != known, nil
}

// wanted says whether a file is among those that Options.Only names.
func (h *Host) wanted(lockFile *lock.File, file string) bool {
	if h.opts.Dev || len(h.opts.Only) == 0 {
		return true
	}
	e, ok := lockFile.Lookup(file)
	return ok && slices.Contains(h.opts.Only, e.Type)
}

// consider asks the unit of a file to look at it, and makes the unit if there
// is none. Nil: nothing has changed.
func (h *Host) consider(path string, lockFile *lock.File, lockChanged, force bool) *request {
	st, err := stampOf(path)
	if err != nil {
		st = stamp{} // image.Load says what is wrong
	}
	h.mu.Lock()
	u, known := h.units[filepath.Base(path)]
	if !known {
		u = newUnit(h, filepath.Base(path), path)
		h.units[u.file] = u
		h.background.Go(func() { u.supervise(h.ctx) })
	}
	h.mu.Unlock()
	if known && u.seen == st && !lockChanged && !force {
		return nil
	}
	u.seen = st
	return u.ask(&request{lock: lockFile, force: force && known})
}

// dropMissing ends units whose file is gone. An automatic scan waits for the
// next one first: files are often replaced by removing and copying.
func (h *Host) dropMissing(files []string, force bool) {
	missing := map[string]bool{}
	for _, u := range h.all() {
		if slices.Contains(files, u.path) {
			continue
		}
		if !force && !h.missing[u.file] {
			missing[u.file] = true
			continue
		}
		h.mu.Lock()
		delete(h.units, u.file)
		h.mu.Unlock()
		h.rebuild()
		h.log.Info("connector binary is gone", "binary", u.file)
		u.ask(&request{gone: true})
	}
	h.missing = missing
}

// attaches says whether a path is that of a file that a connector under a
// debugger writes.
func (h *Host) attaches(path string) bool { return slices.Contains(h.opts.Attach, path) }

// attachable lists those of the files that are there: the connector removes
// its own when it ends.
func (h *Host) attachable() []string {
	var there []string
	for _, path := range h.opts.Attach {
		if _, err := os.Stat(path); err == nil {
			there = append(there, path)
		}
	}
	return there
}

// ask hands a request to the unit's goroutine, which may be busy for a moment
// but never for long.
func (u *unit) ask(req *request) *request {
	req.done = make(chan struct{})
	select {
	case u.requests <- req:
	case <-u.gone:
		close(req.done)
	}
	return req
}

// Candidates lists the connector binaries of a plugin directory by their
// names alone: regular files, or links to such, that start with the prefix.
func Candidates(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read plugin directory: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sdkport.BinaryPrefix) && !e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}
