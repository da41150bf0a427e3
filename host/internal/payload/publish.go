package payload

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long to wait for another process to write its files.
const lockPatience = time.Second

// errHeld says that another process was writing files for all of lockPatience.
// It may have been stopped in the middle. Nothing depends on it: what is in the
// journals is durable and can be read there.
var errHeld = errors.New("another process is writing files and does not get done")

// lockPublishing keeps the processes that have the directory open from writing
// files at the same time: between the look whether a later Put is there and the
// rename, none may come. It returns the function that unlocks, or errHeld.
func (d *Dir) lockPublishing() (unlock func(), err error) {
	dir, err := os.Open(d.temps())
	if err != nil {
		return nil, err
	}
	for begun := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EWOULDBLOCK) || time.Since(begun) > lockPatience {
			break
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK):
		// Network file systems may refuse to lock a directory.
	case errors.Is(err, unix.EWOULDBLOCK):
		_ = dir.Close()
		return nil, errHeld
	default:
		_ = dir.Close()
		return nil, err
	}
	return func() { _ = dir.Close() }, nil
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
