package payload

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// recover applies the journals of processes that have ended without retiring
// them, and removes them. Journals of living processes are left alone.
//
// After a crash of a process every visible file is as it should be, only the
// last Puts may be missing. After a crash of the machine any file may be
// missing, old or empty, and the journal has its bytes.
func (d *Dir) recover() error {
	names, err := filepath.Glob(filepath.Join(d.journals(), "*"+journalSuffix))
	if err != nil {
		return err
	}
	var dead []*os.File
	defer func() {
		for _, file := range dead {
			_ = file.Close()
		}
	}()
	for _, name := range names {
		file, err := openDead(name)
		if err != nil {
			return err
		}
		if file == nil {
			continue
		}
		dead = append(dead, file)
		if err := readJournal(file, d.reapply); err != nil {
			return err
		}
	}
	if len(dead) == 0 {
		return nil
	}
	if err := syncFileSystem(d.root); err != nil {
		return err
	}
	for _, file := range dead {
		if err := os.Remove(file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// openDead opens and locks a journal that nobody owns any more. It returns nil
// for one that has an owner or is gone.
func openDead(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		// Whoever had the lock before may have finished with it and removed it.
		if _, statErr := os.Stat(name); statErr == nil {
			return file, nil
		}
	}
	_ = file.Close()
	if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, err
	}
	return nil, nil
}

// reapply makes a journalled Put visible, unless it is or a later one is. Every
// file carries the time of its Put as its modification time, which settles the
// order between the journals of several processes.
func (d *Dir) reapply(r record) error {
	if strings.HasPrefix(r.key, checkPrefix) || checkKey(r.key) != nil {
		return nil
	}
	target := d.path(r.key)
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.publish(r)
	case err != nil:
		return err
	case info.ModTime().After(r.at):
		return nil
	}
	current, err := os.ReadFile(target)
	if err == nil && bytes.Equal(current, r.data) {
		return nil
	}
	// A file that can't be read any more is one more reason to write it anew.
	return d.publish(r)
}

// sweep removes temporary files that a dead process has left. It is not told
// whose they are, so it waits until they are surely nobody's.
func (d *Dir) sweep(now time.Time) error {
	for _, dir := range []string{d.temps(), d.journals(), filepath.Join(d.root, checkPrefix)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil || now.Sub(info.ModTime()) < tempAge || strings.HasSuffix(entry.Name(), journalSuffix) {
				continue
			}
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
