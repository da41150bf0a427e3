package sdk

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// LogHandler writes log records the way the host reads them: one JSON object a
// line, with "@level", "@message" and "@timestamp" as strings, and whatever
// the SDK knows about the running call. Serve installs one as slog's default.
type LogHandler struct {
	out   *lineWriter
	level slog.Leveler
	attrs []slog.Attr // with their groups' names already in front
	group string      // "a.b."
}

// NewLogHandler writes records of at least the given level to w.
func NewLogHandler(w io.Writer, level slog.Leveler) *LogHandler {
	return &LogHandler{out: &lineWriter{w: w}, level: level}
}

// lineWriter keeps lines of concurrent calls apart.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) write(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(line)
	return err
}

type logAttrsKey struct{}

// withLogAttrs makes every record that is logged with the context carry attrs.
func withLogAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, logAttrsKey{}, attrs)
}

// Logger returns slog's default logger with what the SDK knows about the call
// that ctx belongs to: export id, attempt and connection. Use it to hand a
// logger to a library that logs without a context; otherwise slog.InfoContext
// and the like do the same.
func Logger(ctx context.Context) *slog.Logger {
	known, _ := ctx.Value(logAttrsKey{}).([]slog.Attr)
	log := slog.Default()
	for _, attr := range known {
		log = log.With(attr)
	}
	return log
}

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clone := *h
	clone.attrs = slices.Clone(h.attrs)
	for _, attr := range attrs {
		attr.Key = h.group + attr.Key
		clone.attrs = append(clone.attrs, attr)
	}
	return &clone
}

// WithGroup implements slog.Handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	clone := *h
	if name != "" {
		clone.group += name + "."
	}
	return &clone
}

// longestLine keeps a record below what the host reads as one line. Of one that
// is longer, the start of the message is kept.
const (
	longestLine    = 32 << 10
	longestMessage = 2 << 10 // escaping makes it up to six times as long
)

// Handle implements slog.Handler.
func (h *LogHandler) Handle(ctx context.Context, record slog.Record) error {
	fields := make(map[string]any)
	known, _ := ctx.Value(logAttrsKey{}).([]slog.Attr)
	for _, attr := range known {
		addField(fields, "", attr)
	}
	for _, attr := range h.attrs {
		addField(fields, "", attr)
	}
	record.Attrs(func(attr slog.Attr) bool {
		addField(fields, h.group, attr)
		return true
	})
	at := record.Time
	if at.IsZero() {
		at = time.Now()
	}
	head := map[string]any{
		"@level":     levelName(record.Level),
		"@message":   clean(record.Message),
		"@timestamp": at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
	}
	line, err := logLine(fields, head)
	if err != nil || len(line) > longestLine {
		head["truncated"] = "true"
		head["@message"] = clean(record.Message[:min(len(record.Message), longestMessage)])
		if line, err = logLine(nil, head); err != nil {
			return err
		}
	}
	return h.out.write(line)
}

func logLine(fields, head map[string]any) ([]byte, error) {
	all := make(map[string]any, len(fields)+len(head))
	for key, value := range fields {
		all[key] = value
	}
	for key, value := range head {
		all[key] = value
	}
	line, err := json.Marshal(all)
	return append(line, '\n'), err
}

// addField flattens groups into "group.key". Keys that start with "@" are the
// handler's own.
func addField(fields map[string]any, prefix string, attr slog.Attr) {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			prefix += attr.Key + "."
		}
		for _, member := range value.Group() {
			addField(fields, prefix, member)
		}
		return
	}
	if attr.Key == "" {
		return
	}
	fields[strings.TrimLeft(prefix+attr.Key, "@")] = fieldValue(value)
}

func fieldValue(value slog.Value) any {
	switch value.Kind() {
	case slog.KindBool:
		return value.Bool()
	case slog.KindInt64:
		return value.Int64()
	case slog.KindUint64:
		return value.Uint64()
	default:
		return clean(value.String())
	}
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "trace"
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	default:
		return "error"
	}
}
