package payload

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watch is how long Puts are counted to see whether there is time. It is longer
	// than exports take that wait together for a slow disk or database: between two
	// such waves no Put comes, and files would get in the way of the next one.
	watch = 500 * time.Millisecond
	// calm is up to how many Puts within watch leave time to write files.
	calm = 100
	// chunk is how many files are written before it looks again.
	chunk = 512
	// publishRetry is the pause after a file that could not be written.
	publishRetry = time.Second
	// maxFull is how many journals may wait, all of their payloads durable,
	// while files can't be written. Beyond it a Put fails.
	maxFull = 4
)

// backlog are the payloads that are durable in a journal and not yet files.
//
// One goroutine turns them into files while there are any: at once those of a
// full journal, the others when few Puts come. So a burst pays for the journal
// alone, and its files are there some seconds after it.
type backlog struct {
	places map[string]place // guarded by Dir.mu: the latest Put of each key
	puts   atomic.Int64     // made so far

	running bool           // guarded by Dir.mu: the goroutine lives
	wake    chan struct{}  // buffered: do not wait for a calm moment
	ending  chan struct{}  // closed when Close waits for the goroutines
	end     func()         // closes it, once
	worker  sync.WaitGroup // the goroutine, and recoverLater; Add under Dir.mu
}

func newBacklog() backlog {
	ending := make(chan struct{})
	return backlog{
		places: make(map[string]place), wake: make(chan struct{}, 1),
		ending: ending, end: sync.OnceFunc(func() { close(ending) }),
	}
}

// place is where the bytes of a Put are.
type place struct {
	journal *journal
	at      time.Time // of the Put
	offset  int64     // of the bytes in the journal
	size    int
}

func (p place) read() ([]byte, error) {
	data := make([]byte, p.size)
	_, err := p.journal.file.ReadAt(data, p.offset)
	return data, err
}

// note adds a durable payload to the backlog.
func (d *Dir) note(key string, p place) {
	d.backlog.puts.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, ok := d.backlog.places[key]; !ok || p.at.After(before.at) {
		d.backlog.places[key] = p
		p.journal.queue = append(p.journal.queue, key)
	}
	d.start()
}

// start has the goroutine run. The caller holds mu.
func (d *Dir) start() {
	if !d.backlog.running {
		d.backlog.running = true
		d.backlog.worker.Go(d.work)
	}
}

// setAside has the current journal take no more. The caller holds mu.
func (d *Dir) setAside() {
	d.full = append(d.full, d.current)
	d.current = nil
	d.start()
	d.hurry()
}

func (d *Dir) hurry() {
	select {
	case d.backlog.wake <- struct{}{}:
	default:
	}
}

// work writes files until there is nothing left to write, or Close is waiting
// and it does not work.
func (d *Dir) work() {
	for {
		j, full, over := d.pick()
		if over {
			return
		}
		if !full && !d.isCalm() {
			continue
		}
		err := d.publishFrom(j)
		if err == nil && full {
			d.retireIfEmpty(j)
		}
		if d.settle(err) {
			return
		}
	}
}

// pick returns the journal to write from: the oldest full one, or else the
// current one. It says whether there is nothing to do; then the goroutine ends.
func (d *Dir) pick() (j *journal, full, over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.full) > 0:
		return d.full[0], true, false
	case d.current != nil && len(d.current.queue) > 0:
		return d.current, false, false
	}
	d.backlog.running = false
	return nil, false, true
}

// isCalm watches for a moment whether few Puts come.
func (d *Dir) isCalm() bool {
	before := d.backlog.puts.Load()
	timer := time.NewTimer(watch)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.backlog.wake:
	}
	return d.backlog.puts.Load()-before <= calm
}

// publishFrom writes up to chunk files of a journal.
func (d *Dir) publishFrom(j *journal) error {
	unlock, err := d.lockPublishing()
	if err != nil {
		return err
	}
	defer unlock()
	for range chunk {
		d.mu.Lock()
		if len(j.queue) == 0 {
			d.mu.Unlock()
			return nil
		}
		key := j.queue[0]
		p, ok := d.backlog.places[key]
		d.mu.Unlock()
		if ok && p.journal == j { // otherwise a later Put has taken its place
			if err := d.publishPlace(key, p); err != nil {
				return err
			}
		}
		d.mu.Lock()
		j.queue = j.queue[1:]
		d.mu.Unlock()
	}
	return nil
}

// publishPlace makes a payload a file, unless there is a later one, and takes it
// out of the backlog.
func (d *Dir) publishPlace(key string, p place) error {
	data, err := p.read()
	if err != nil {
		return err
	}
	if err := d.bring(record{at: p.at, key: key, data: data}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.backlog.places[key] == p {
		delete(d.backlog.places, key)
	}
	return nil
}

// publishNow makes the payload under key a file, without waiting for its turn,
// unless another process keeps it from that.
func (d *Dir) publishNow(key string) error {
	unlock, err := d.lockPublishing()
	if errors.Is(err, errHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	d.mu.Lock()
	p, ok := d.backlog.places[key]
	d.mu.Unlock()
	if !ok {
		return nil
	}
	return d.publishPlace(key, p)
}

// retireIfEmpty removes a full journal once all its payloads are files.
func (d *Dir) retireIfEmpty(j *journal) {
	j.puts.Wait() // it is not the current one any more, so these are the last
	d.mu.Lock()
	left := len(j.queue)
	d.mu.Unlock()
	if left > 0 {
		return
	}
	err := j.retire(d.root)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = d.full[1:]
	if err != nil {
		d.unretired = err // it stays for the next OpenDir
	}
}

// settle keeps what went wrong with a file for Check, pauses after it, and says
// whether the goroutine is to give up. That it is another one's turn is nothing
// wrong.
func (d *Dir) settle(err error) (over bool) {
	d.mu.Lock()
	d.failed = err
	if errors.Is(err, errHeld) {
		d.failed = nil
	}
	d.mu.Unlock()
	if err == nil {
		return false
	}
	timer := time.NewTimer(publishRetry)
	defer timer.Stop()
	select {
	case <-d.backlog.ending:
		d.mu.Lock()
		defer d.mu.Unlock()
		d.backlog.running = false
		return true
	case <-d.backlog.wake:
	case <-timer.C:
	}
	return false
}

// drain writes all files and retires all journals.
func (d *Dir) drain() error {
	d.mu.Lock()
	if d.current != nil {
		d.setAside()
	}
	d.hurry()
	d.mu.Unlock()
	d.backlog.end()
	d.backlog.worker.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, j := range d.full { // it did not work; the next OpenDir may have them
		_ = j.file.Close()
	}
	return errors.Join(d.failed, d.unretired)
}

// find returns the latest bytes under a key: from the backlog, from the journal
// of another living process, or from the file. The error is fs.ErrNotExist if
// there are none.
func (d *Dir) find(key string) ([]byte, error) {
	// Whatever leaves a journal is a file by then: so journals come first.
	latest, err := d.findElsewhere(key)
	if err != nil {
		return nil, err
	}
	for {
		d.mu.Lock()
		p, ok := d.backlog.places[key]
		d.mu.Unlock()
		if !ok || !p.at.After(latest.at) {
			break
		}
		data, err := p.read()
		if err == nil {
			latest = record{at: p.at, data: data}
			break
		}
		if !errors.Is(err, os.ErrClosed) { // otherwise it is a file by now
			return nil, err
		}
	}
	return d.orFile(key, latest)
}

// orFile returns the file under key, unless what was found is later.
func (d *Dir) orFile(key string, found record) ([]byte, error) {
	file, err := os.Open(d.path(key))
	if errors.Is(err, unix.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) && !found.at.IsZero() {
		return found.data, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir() && found.at.IsZero():
		return nil, fs.ErrNotExist
	case info.IsDir(), found.at.After(info.ModTime()):
		return found.data, nil
	}
	return io.ReadAll(file)
}
