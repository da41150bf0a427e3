package payload

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// recoverLater calls recover until it gets to it.
func (d *Dir) recoverLater() {
	for {
		select {
		case <-d.backlog.ending:
			return // the next OpenDir may get to it
		case <-time.After(publishRetry):
		}
		err := d.recover()
		if errors.Is(err, errHeld) {
			continue
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.unretired = errors.Join(d.unretired, err)
		return
	}
}

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
	}
	if len(dead) == 0 {
		return nil
	}
	unlock, err := d.lockPublishing()
	if err != nil {
		return err
	}
	defer unlock()
	for _, file := range dead {
		if err := readJournal(file, d.reapply); err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
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

// reapply does to a record of a dead process what that one would have done.
func (d *Dir) reapply(r record) error {
	if strings.HasPrefix(r.key, checkPrefix) || checkKey(r.key) != nil {
		return nil
	}
	return d.bring(r)
}

// bring makes a journalled Put a file, unless it is or a later one is. Every
// file carries the time of its Put as its modification time, which settles the
// order between the journals of several processes.
func (d *Dir) bring(r record) error {
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

// findElsewhere looks for the latest record of a key in the journals of other
// living processes. The result is empty if there is none.
func (d *Dir) findElsewhere(key string) (latest record, err error) {
	names, err := filepath.Glob(filepath.Join(d.journals(), "*"+journalSuffix))
	if err != nil {
		return record{}, err
	}
	own := d.ownJournals()
	for _, name := range names {
		if own[name] {
			continue
		}
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // all that it held are files now
		}
		if err != nil {
			return record{}, err
		}
		err = readJournal(file, func(r record) error {
			if r.key == key && r.at.After(latest.at) {
				latest = r
			}
			return nil
		})
		_ = file.Close()
		if err != nil && !errors.Is(err, errForeignJournal) {
			return record{}, err
		}
	}
	return latest, nil
}

func (d *Dir) ownJournals() map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := make(map[string]bool)
	for _, j := range d.full {
		own[j.path()] = true
	}
	if d.current != nil {
		own[d.current.path()] = true
	}
	return own
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
