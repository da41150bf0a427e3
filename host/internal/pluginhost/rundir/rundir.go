// Package rundir owns the private directory in which one run of a host keeps
// the sockets of its connectors and copies of their binaries.
//
// Each run has a folder of its own under the data directory, with mode 0700
// and a lock that lives exactly as long as the process. The next run sweeps
// every folder whose lock is free: it removes the sockets that a killed host
// left behind, and ends the processes that still carry the folder's name in
// their environment. A process is never recognized by its number alone.
package rundir

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// MaxBase is the longest path that Sockets may have. A socket path must stay
// within 104 bytes on every system; go-plugin adds a folder of up to 21 bytes
// and connectors need room for a name of their own.
const MaxBase = 50

const (
	runPrefix   = "run-"
	newPrefix   = "new-" // a folder that is not locked yet
	lockName    = "lock"
	linkName    = "sockets"
	shortPrefix = "orderport-"
)

// newLife is how long a host may take between making a folder and locking it.
const newLife = time.Minute

// Dir is the private directory of one run.
type Dir struct {
	path    string // the run's folder
	sockets string // where the sockets go; may lie elsewhere, see shortDir
	lock    *os.File
}

// Open sweeps what earlier runs left under base and makes a folder for this
// one. base is created with mode 0700 if it is missing.
func Open(base string, log *slog.Logger) (*Dir, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	sweep(base, log)
	d, err := create(base)
	if err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	return d, nil
}

func create(base string) (_ *Dir, err error) {
	// The sweep of another host must not meet the folder between its creation
	// and its lock, so it gets its final name only when it is locked.
	tmp, err := os.MkdirTemp(base, newPrefix)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: filepath.Join(base, runPrefix+strings.TrimPrefix(filepath.Base(tmp), newPrefix))}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
			d.Close()
		}
	}()
	if d.lock, err = lockFile(filepath.Join(tmp, lockName)); err != nil {
		return nil, err
	}
	if err = os.Rename(tmp, d.path); err != nil {
		return nil, err
	}
	d.sockets = d.path
	if len(d.path) > MaxBase {
		if d.sockets, err = shortDir(); err != nil {
			return nil, err
		}
		// The next sweep finds the folder through this link.
		err = os.Symlink(d.sockets, filepath.Join(d.path, linkName))
	}
	return d, err
}

// shortDir makes a private folder with a short path for a run whose own path
// is too long for a socket. System directories that are made for sockets come
// first: cleaners of the temporary directory delete sockets that look old.
func shortDir() (string, error) {
	candidates := []string{os.Getenv("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(os.Getuid()), "/run", os.TempDir(), "/tmp"}
	errs := []error{errors.New("no directory with a path short enough for a socket")}
	for _, c := range candidates {
		if c == "" || !filepath.IsAbs(c) || len(c)+len(shortPrefix)+12 > MaxBase {
			continue
		}
		dir, err := os.MkdirTemp(c, shortPrefix)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// Path is the run's folder, for copies of binaries.
func (d *Dir) Path() string { return d.path }

// Sockets is the directory for socket folders. It is at most MaxBase bytes
// long.
func (d *Dir) Sockets() string { return d.sockets }

// Close removes the folder and everything in it.
func (d *Dir) Close() error {
	var errs []error
	if d.sockets != "" && d.sockets != d.path {
		errs = append(errs, os.RemoveAll(d.sockets))
	}
	errs = append(errs, os.RemoveAll(d.path))
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// sweep removes what runs that are over left under base. What it can't remove
// stays for the next sweep.
func sweep(base string, log *slog.Logger) {
	entries, err := os.ReadDir(base)
	if err != nil {
		log.Warn("sweep of run directory failed", "dir", base, "error", err)
		return
	}
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		switch {
		case e.IsDir() && strings.HasPrefix(e.Name(), runPrefix):
			sweepRun(dir, log)
		case e.IsDir() && strings.HasPrefix(e.Name(), newPrefix) && olderThan(e, newLife):
			_ = os.RemoveAll(dir) // the next sweep tries again
		}
	}
}

func olderThan(e os.DirEntry, age time.Duration) bool {
	info, err := e.Info()
	return err == nil && time.Since(info.ModTime()) > age
}

func sweepRun(dir string, log *slog.Logger) {
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return // its host lives
	}
	defer lock.Close()
	if n := KillMarked(dir); n > 0 {
		log.Warn("ended connector processes of a host that died", "count", n, "dir", dir)
	}
	if short, err := os.Readlink(filepath.Join(dir, linkName)); err == nil && ours(short) {
		if n := KillMarked(short); n > 0 {
			log.Warn("ended connector processes of a host that died", "count", n, "dir", short)
		}
		if err := os.RemoveAll(short); err != nil {
			log.Warn("sweep of run directory failed", "dir", short, "error", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		log.Warn("sweep of run directory failed", "dir", dir, "error", err)
	}
}

// ours says whether a folder that a link names was made by shortDir for this
// user, so that a planted link can't make the host remove something else.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && info.Mode().Perm() == 0o700 &&
		strings.HasPrefix(filepath.Base(dir), shortPrefix) && ownedByUs(info)
}
