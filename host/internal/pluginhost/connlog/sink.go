// Package connlog takes what connector processes print and turns it into log
// records of the host.
//
// Everything here treats the text as hostile: lines of any length, floods,
// broken JSON, JSON whose well-known fields have the wrong type, keys that
// look like the host's own. A connector never has to wait for the host to take
// its output, and its output never stops the host. Secrets are replaced before
// a line goes anywhere.
package connlog

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of what is kept.
const (
	maxLine    = 64 << 10 // bytes of a line that are looked at
	maxMessage = 4 << 10  // bytes of a message that are logged
	maxTail    = 512      // bytes of a line that are kept for the operator
	tailLines  = 20       // lines that are kept for the operator
	panicLines = 60       // lines after a panic that are logged as errors
)

// The flood gate: a sustained rate and a burst, in units of one line plus one
// for each KiB of it.
const (
	unitsPerSecond = 200
	unitsBurst     = 1000
)

// Sink takes the output of one process. It is safe for concurrent use.
type Sink struct {
	log    *slog.Logger
	redact func(string) string

	mu      sync.Mutex
	gate    *rate.Limiter
	dropped int
	tail    []string // redacted, oldest first
	skipped []byte   // start of the last line that was dropped; not redacted
	cause   string   // first line of a panic, redacted
	inPanic int      // lines that still belong to the panic
}

// NewSink returns a Sink that logs to log, which should name the connector
// already. redact is applied to every text before it goes anywhere.
func NewSink(log *slog.Logger, redact func(string) string) *Sink {
	if redact == nil {
		redact = func(s string) string { return s }
	}
	return &Sink{log: log, redact: redact, gate: rate.NewLimiter(unitsPerSecond, unitsBurst)}
}

// Drain reads r until it ends and logs its lines.
func (s *Sink) Drain(stream string, r io.Reader) {
	w := s.Writer(stream)
	defer w.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		w.Take(buf[:n])
		if err != nil {
			return
		}
	}
}

// Writer returns a writer that logs what is written to it, line by line. It
// never fails and never blocks on the one who writes. Close flushes a last
// line without an end.
func (s *Sink) Writer(stream string) *Writer { return &Writer{sink: s, stream: stream} }

// Writer cuts a stream into lines of bounded length.
type Writer struct {
	sink   *Sink
	stream string

	mu   sync.Mutex
	line []byte
	over int // bytes of the line that did not fit
}

// Write is Take for those who want an io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.Take(p)
	return len(p), nil
}

// Take takes the next bytes of the stream.
func (w *Writer) Take(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			w.add(p)
			return
		}
		w.add(p[:i])
		w.flush()
		p = p[i+1:]
	}
}

func (w *Writer) add(p []byte) {
	room := min(maxLine-len(w.line), len(p))
	w.line = append(w.line, p[:room]...)
	w.over += len(p) - room
}

func (w *Writer) flush() {
	if len(w.line) > 0 {
		w.sink.line(w.stream, w.line, w.over)
	}
	w.line, w.over = w.line[:0], 0
}

// Close logs what is left of the last line.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	return nil
}

// line takes one line without its end; over counts bytes that were cut off.
func (s *Sink) line(stream string, line []byte, over int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line = bytes.TrimRight(line, "\r")
	starts := startsPanic(line)
	if starts && s.cause == "" {
		s.cause = s.clean(string(line), maxTail)
	}
	if starts {
		s.inPanic = panicLines
	}
	if !s.gate.AllowN(time.Now(), 1+len(line)/1024) {
		s.dropped++
		s.skipped = append(s.skipped[:0], line[:min(len(line), 2*maxTail)]...)
		return
	}
	s.reportDropped()
	s.emit(stream, line, over)
}

// emit needs mu.
func (s *Sink) emit(stream string, line []byte, over int) {
	rec := parse(line)
	message := s.clean(rec.message, maxMessage)
	attrs := []slog.Attr{slog.String("stream", stream)}
	if over > 0 {
		attrs = append(attrs, slog.Int("cut_bytes", over))
	}
	if len(rec.fields) > 0 {
		group := make([]any, len(rec.fields))
		for i, f := range rec.fields {
			group[i] = slog.String(s.clean(f.key, maxKey), s.clean(f.value, maxValue))
		}
		// A group of their own: no key of a connector can pass for ours.
		attrs = append(attrs, slog.Group("fields", group...))
	}
	level := rec.level
	if s.inPanic > 0 && !rec.structured {
		s.inPanic--
		level = slog.LevelError
	}
	s.keep(message)
	s.log.LogAttrs(context.Background(), level, message, attrs...)
}

func (s *Sink) keep(message string) {
	if message == "" {
		return
	}
	if len(s.tail) == tailLines {
		copy(s.tail, s.tail[1:])
		s.tail = s.tail[:tailLines-1]
	}
	s.tail = append(s.tail, clip(message, maxTail))
}

// reportDropped needs mu.
func (s *Sink) reportDropped() {
	if s.dropped == 0 {
		return
	}
	s.log.LogAttrs(context.Background(), slog.LevelWarn, "connector prints too much: lines dropped",
		slog.Int("dropped", s.dropped))
	s.dropped = 0
	s.skipped = s.skipped[:0]
}

// End is called once the process has ended: it makes the last line known even
// if it was dropped, and reports how many were.
func (s *Sink) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped > 0 {
		s.keep(s.clean(parse(s.skipped).message, maxTail))
	}
	s.reportDropped()
}

// Tail returns the last lines, oldest first.
func (s *Sink) Tail() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.tail...)
}

// LastWord is the line that says most about why the process ended: the
// headline of a panic, or else the last line. Empty if there was none.
func (s *Sink) LastWord() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause != "":
		return s.cause
	case len(s.tail) > 0:
		return s.tail[len(s.tail)-1]
	}
	return ""
}

func startsPanic(line []byte) bool {
	return bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: "))
}

// clean replaces secrets, then cuts to size: the other way round the start of
// a secret could stay. What could steer a terminal becomes a space.
func (s *Sink) clean(text string, limit int) string {
	text = strings.Map(printable, strings.ToValidUTF8(s.redact(text), "\uFFFD"))
	return clip(strings.TrimRight(text, " "), limit)
}
