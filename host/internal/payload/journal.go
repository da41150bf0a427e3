package payload

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// journal makes Puts durable, many with one flush: the records of all Puts
// that wait are written together. Its owner holds a lock on the file for as
// long as the process lives, so others can tell it from one that was left
// behind.
type journal struct {
	file *os.File
	// puts counts the Puts that were given this journal and are not yet in the
	// backlog. Add is only called while the journal is the current one of its
	// Dir, under Dir.mu.
	puts sync.WaitGroup
	// queue are the keys whose files are to be written, in the order in which
	// they became durable; guarded by Dir.mu.
	queue []string
	// small is room for small records that are written together; write's.
	small []byte

	mu      sync.Mutex
	waiting []*entry
	running bool  // a goroutine writes batches
	size    int64 // of the valid part: what comes behind is overwritten
	broken  error // why nothing can be added any more
}

// entry is a record that waits to be durable.
type entry struct {
	bytes  []byte
	offset int64 // where it was written; read after done
	done   chan error
}

// createJournal makes an empty journal in dir, durably.
func createJournal(dir string) (j *journal, err error) {
	name := filepath.Join(dir, rand.Text())
	file, err := os.OpenFile(name+journalTemp, os.O_CREATE|os.O_EXCL|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
			_ = file.Close()
		}
	}()
	// Locked before it has its name, so that nobody takes it for a dead one.
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	if _, err := file.WriteString(journalMagic); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	if err := os.Rename(file.Name(), name+journalSuffix); err != nil {
		return nil, err
	}
	return &journal{file: file, size: int64(len(journalMagic))}, syncDir(dir)
}

// path is the journal's name since it was made; file.Name is the old one.
func (j *journal) path() string {
	name := j.file.Name()
	return name[:len(name)-len(journalTemp)] + journalSuffix
}

// append returns when the record is durable, and where it begins. After an
// error it may or may not be in the journal.
func (j *journal) append(bytes []byte) (offset int64, err error) {
	e := &entry{bytes: bytes, done: make(chan error, 1)}
	j.mu.Lock()
	j.waiting = append(j.waiting, e)
	if !j.running {
		j.running = true
		go j.run()
	}
	j.mu.Unlock()
	err = <-e.done
	return e.offset, err
}

// run writes batches until nobody waits. Each batch is what came in while the
// one before it was being flushed.
func (j *journal) run() {
	for {
		j.mu.Lock()
		batch := j.waiting
		j.waiting = nil
		if len(batch) == 0 {
			j.running = false
			j.mu.Unlock()
			return
		}
		size, err := j.size, j.broken
		j.mu.Unlock()

		if err == nil {
			size, err = j.commit(batch, size)
		}
		for _, e := range batch {
			e.done <- err
		}
		j.mu.Lock()
		j.size = size
		j.mu.Unlock()
	}
}

// commit writes a batch at offset and flushes it once. It returns the end of
// the valid part.
func (j *journal) commit(batch []*entry, offset int64) (end int64, err error) {
	if end, err = j.write(batch, offset); err != nil {
		// Such as a full disk: make room, and go on from before the batch.
		if truncErr := j.file.Truncate(offset); truncErr != nil {
			j.breakWith(truncErr)
		}
		return offset, err
	}
	if err := unix.Fdatasync(int(j.file.Fd())); err != nil {
		// What is on disk now can't be known, and a second flush would report
		// success without having written anything.
		j.breakWith(err)
		return offset, err
	}
	return end, nil
}

// write writes small records together, since each write is a system call.
func (j *journal) write(batch []*entry, offset int64) (end int64, err error) {
	const together = 256 << 10
	if j.small == nil {
		j.small = make([]byte, 0, together)
	}
	records := j.small
	for i, e := range batch {
		e.offset = offset + int64(len(records))
		last := i == len(batch)-1 || len(records)+len(e.bytes)+len(batch[i+1].bytes) > together
		if last && len(records) == 0 {
			records = e.bytes
		} else {
			records = append(records, e.bytes...)
		}
		if !last {
			continue
		}
		if _, err := j.file.WriteAt(records, offset); err != nil {
			return offset, err
		}
		offset += int64(len(records))
		records = j.small
	}
	return offset, nil
}

func (j *journal) breakWith(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

// usable reports whether the journal can take more and is not over its limit.
func (j *journal) usable(limit int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken == nil && j.size < limit
}

// retire ends a journal whose payloads all are files: those are flushed, then
// the journal is not needed. If that fails the journal stays, and the next
// OpenDir deals with it.
func (j *journal) retire(root string) error {
	err := syncFileSystem(root)
	if err == nil {
		err = os.Remove(j.path())
	}
	return errors.Join(err, j.file.Close())
}

// syncFileSystem flushes everything below path that was written before.
func syncFileSystem(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return unix.Syncfs(int(dir.Fd()))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}
