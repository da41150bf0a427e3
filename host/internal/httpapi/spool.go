package httpapi

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// spoolMemory is how many bytes a spool holds in memory.
const spoolMemory = 1 << 20

// spool is a pipe that never makes its writer wait: what the reader has not
// taken yet goes to a file. A client that sends a whole batch before it reads
// the first answer would otherwise wait for the host, and the host for it.
type spool struct {
	dir string

	mu     sync.Mutex
	change *sync.Cond
	// memory is older than what is in the file. All below is guarded by mu.
	memory        []byte
	file          *os.File // nil until it is needed
	written, read int64    // offsets in file
	closed        bool
}

func newSpool(dir string) *spool {
	s := &spool{dir: dir}
	s.change = sync.NewCond(&s.mu)
	return s
}

// Write takes all of p, or fails because the file can't be written.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change.Signal()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	if s.written == s.read && len(s.memory)+len(p) <= spoolMemory {
		s.memory = append(s.memory, p...)
		return len(p), nil
	}
	if err := s.open(); err != nil {
		return 0, err
	}
	n, err := s.file.WriteAt(p, s.written)
	s.written += int64(n)
	return n, err
}

// open makes a file that nobody else can see and that is gone with the process.
func (s *spool) open() error {
	if s.file != nil {
		return nil
	}
	file, err := os.CreateTemp(s.dir, "orderport-batch-*")
	if err != nil {
		return fmt.Errorf("spool answers: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return fmt.Errorf("spool answers: %w", err)
	}
	s.file = file
	return nil
}

// Read waits for something to read. After Close it returns what is left, then
// io.EOF.
func (s *spool) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.memory) == 0 && s.written == s.read {
		if s.closed {
			return 0, io.EOF
		}
		s.change.Wait()
	}
	if len(s.memory) > 0 {
		n := copy(p, s.memory)
		s.memory = append(s.memory[:0], s.memory[n:]...)
		return n, nil
	}
	p = p[:min(int64(len(p)), s.written-s.read)]
	n, err := s.file.ReadAt(p, s.read)
	s.read += int64(n)
	if s.read == s.written {
		s.read, s.written = 0, 0
		if truncated := s.file.Truncate(0); err == nil {
			err = truncated
		}
	}
	return n, err
}

// Close ends the writing side.
func (s *spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
}

// Release frees the file. Nothing may read or write any more.
func (s *spool) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}
