package launch

import (
	"bytes"
	"sync"
)

// mostCaptured bounds what is kept of a connector that never stops printing.
const mostCaptured = 64 << 20

// Capture keeps what a process prints. It is safe for concurrent use.
type Capture struct {
	mu      sync.Mutex
	buffer  bytes.Buffer  // guarded by mu
	total   int64         // guarded by mu; with what was not kept
	changed chan struct{} // guarded by mu; closed and replaced when something comes
}

func newCapture() *Capture { return &Capture{changed: make(chan struct{})} }

// Write implements io.Writer.
func (c *Capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += int64(len(p))
	if room := mostCaptured - c.buffer.Len(); room > 0 {
		c.buffer.Write(p[:min(room, len(p))])
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return len(p), nil
}

// Bytes returns a copy of what was kept.
func (c *Capture) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.buffer.Bytes())
}

// Total counts all bytes, those that were not kept too.
func (c *Capture) Total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// Tail returns the last n bytes at most.
func (c *Capture) Tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := c.buffer.Bytes()
	return string(text[max(0, len(text)-n):])
}
