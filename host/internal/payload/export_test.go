package payload

// OpenDirWithLimit is OpenDir with journals that are retired at limit bytes.
func OpenDirWithLimit(path string, limit int64) (*Dir, error) { return openDir(path, limit) }

// Abandon leaves the store as a process that was killed does: the journal is
// there and unlocked, and nothing more has been flushed.
func (d *Dir) Abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil {
		_ = d.current.file.Close()
		d.current = nil
	}
}

// NewBucketStore wraps a bucket.
var NewBucketStore = newBucketStore
