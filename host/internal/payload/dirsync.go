package payload

import "sync"

// dirSync flushes one directory for many at once. A flush covers every rename
// that was over before the flush began, so whoever comes while one runs waits
// for the next one, and all of those share it.
type dirSync struct {
	path string

	mu      sync.Mutex
	running bool
	next    *flush // the one after the running one, if somebody waits for it
}

// flush is one flush that is to come or runs.
type flush struct {
	done chan struct{}
	err  error
}

// sync returns when a flush that began after the call is over.
func (s *dirSync) sync() error {
	s.mu.Lock()
	if s.running {
		if s.next == nil {
			s.next = &flush{done: make(chan struct{})}
		}
		mine := s.next
		s.mu.Unlock()
		<-mine.done
		return mine.err
	}
	s.running = true
	s.mu.Unlock()
	err := syncDir(s.path)
	s.handOver()
	return err
}

// handOver runs the next flush, if one is wanted, in its own goroutine, so
// that nobody flushes for others for ever.
func (s *dirSync) handOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.next
	s.next = nil
	if next == nil {
		s.running = false
		return
	}
	go func() {
		next.err = syncDir(s.path)
		close(next.done)
		s.handOver()
	}()
}
