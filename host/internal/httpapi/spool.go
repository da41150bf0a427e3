package httpapi

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// spoolMemory is how many bytes a spool holds in memory.
	spoolMemory = 1 << 20
	// spoolLimit is how many bytes it holds in its file: the answers of some
	// 300,000 lines.
	spoolLimit = 256 << 20
)

// errUnread says that the reader of a full spool takes nothing.
var errUnread = errors.New("too many answers wait, and the client takes none")

// spool is a pipe that holds much: what the reader has not taken yet goes to a
// file. A client that sends a whole batch before it reads the first answer
// would otherwise wait for the host, and the host for it. Only when the file is
// full does the writer wait, and not for ever.
type spool struct {
	dir      string
	limit    int64         // bytes in file
	patience time.Duration // how long a full spool may not be read

	mu     sync.Mutex
	change *sync.Cond
	// memory is older than what is in the file. All below is guarded by mu.
	memory        []byte
	file          *os.File // a ring of limit bytes; nil until it is needed
	written, read int64    // bytes that went into file and out of it
	taken         int64    // bytes that were read of all
	closed        bool
}

func newSpool(dir string, limit int64, patience time.Duration) *spool {
	s := &spool{dir: dir, limit: limit, patience: patience}
	s.change = sync.NewCond(&s.mu)
	return s
}

// Write takes all of p, or fails because the file can't be written or nobody
// reads.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	if s.written == s.read && len(s.memory)+len(p) <= spoolMemory {
		s.memory = append(s.memory, p...)
		s.change.Broadcast()
		return len(p), nil
	}
	if err := s.open(); err != nil {
		return 0, err
	}
	all := len(p)
	for len(p) > 0 {
		if err := s.waitForRoom(); err != nil {
			return all - len(p), err
		}
		at := s.written % s.limit
		room := min(s.limit-at, s.limit-(s.written-s.read), int64(len(p)))
		n, err := s.file.WriteAt(p[:room], at)
		s.written += int64(n)
		s.change.Broadcast()
		if err != nil {
			return all - len(p) + n, fmt.Errorf("spool answers: %w", err)
		}
		p = p[n:]
	}
	return all, nil
}

// waitForRoom returns when the file has room, or with the reason why it will
// have none. Called with mu held.
func (s *spool) waitForRoom() error {
	for s.written-s.read == s.limit && !s.closed {
		if taken := s.taken; s.stalls() && taken == s.taken {
			return errUnread
		}
	}
	if s.closed {
		return io.ErrClosedPipe
	}
	return nil
}

// stalls waits for room, and says whether patience was over first. Called with
// mu held.
func (s *spool) stalls() (late bool) {
	timer := time.AfterFunc(s.patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.change.Broadcast()
	})
	defer timer.Stop()
	for s.written-s.read == s.limit && !s.closed && !late {
		s.change.Wait()
	}
	return late
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
	defer s.change.Broadcast()
	for len(s.memory) == 0 && s.written == s.read {
		if s.closed {
			return 0, io.EOF
		}
		s.change.Wait()
	}
	if len(s.memory) > 0 {
		n := copy(p, s.memory)
		s.memory = append(s.memory[:0], s.memory[n:]...)
		s.taken += int64(n)
		return n, nil
	}
	at := s.read % s.limit
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.written-s.read, s.limit-at)], at)
	s.read += int64(n)
	s.taken += int64(n)
	if s.read == s.written {
		s.read, s.written = 0, 0
		if truncated := s.file.Truncate(0); err == nil {
			err = truncated
		}
	}
	return n, err
}

// Close ends the writing side, or says that nobody reads any more: a Write that
// waits for room fails.
func (s *spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
}

// isClosed says whether Close was called.
func (s *spool) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
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
