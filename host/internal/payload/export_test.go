package payload

// OpenDirWithLimit is OpenDir with journals that are retired at limit bytes.
func OpenDirWithLimit(path string, limit int64) (*Dir, error) { return openDir(path, limit) }

// Abandon leaves the store as a process that was killed does: the journals are
// there and unlocked, nothing more has been flushed, and what was in the backlog
// is in the journals alone.
func (d *Dir) Abandon() {
	d.mu.Lock()
	journals := d.full
	if d.current != nil {
		journals = append(journals, d.current)
	}
	for _, j := range journals {
		// A payload that can't be read: so the goroutine gives up.
		d.backlog.places[j.path()] = place{journal: j, size: 1}
		j.queue = append([]string{j.path()}, j.queue...)
		_ = j.file.Close()
	}
	d.full, d.current = journals, nil
	d.hurry()
	d.mu.Unlock()
	d.backlog.end()
	d.backlog.worker.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.failed = nil, nil
	clear(d.backlog.places)
}

// Settle writes all files of the backlog without waiting for a calm moment.
func (d *Dir) Settle() error {
	d.mu.Lock()
	j := d.current
	d.mu.Unlock()
	if j == nil {
		return nil
	}
	return d.publishFrom(j)
}

// Backlog is how many payloads are not yet files.
func (d *Dir) Backlog() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.backlog.places)
}

// NewBucketStore wraps a bucket.
var NewBucketStore = newBucketStore
