package sdk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/sdk"
)

// logged returns the fields of the one line that f logs.
func logged(t *testing.T, f func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	f(slog.New(sdk.NewLogHandler(&out, slog.LevelDebug)))
	if strings.Count(out.String(), "\n") != 1 || out.Len() > 32<<10 {
		t.Fatalf("not one short line: %d bytes", out.Len())
	}
	var fields map[string]any
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"@level", "@message", "@timestamp"} {
		if _, ok := fields[key].(string); !ok {
			t.Errorf("%s is %T, want a string", key, fields[key])
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(fields["@timestamp"])); err != nil {
		t.Error(err)
	}
	delete(fields, "@timestamp")
	return fields
}

func TestLogLinesAreWhatTheHostReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want map[string]any
	}{
		"values": {
			func(l *slog.Logger) {
				l.Warn("m", "n", 1, "b", true, "s", "x\ny", "e", errors.New("boom"), "d", time.Second, "f", math.Inf(1), "u", uint64(7), "none", nil)
			},
			map[string]any{"@level": "warn", "@message": "m", "n": 1.0, "b": true, "s": "x\ny", "e": "boom", "d": "1s", "f": "+Inf", "u": 7.0, "none": "<nil>"},
		},
		"groups": {
			func(l *slog.Logger) {
				l.With("a", 1).WithGroup("g").With("b", 2).Error("m", slog.Group("h", "c", 3), slog.Group("", "d", 4))
			},
			map[string]any{"@level": "error", "@message": "m", "a": 1.0, "g.b": 2.0, "g.h.c": 3.0, "g.d": 4.0},
		},
		"names of the handler's own are not taken": {
			func(l *slog.Logger) { l.Debug("m", "@message", 1, "@level", map[string]int{}, "", "x") },
			map[string]any{"@level": "debug", "@message": "m", "message": 1.0, "level": "map[]"},
		},
		"text that is not UTF-8": {
			func(l *slog.Logger) { l.Info("\xff", "k", "\xfe") },
			map[string]any{"@level": "info", "@message": "\uFFFD", "k": "\uFFFD"},
		},
		"a message that grows": {
			func(l *slog.Logger) { l.Info(strings.Repeat("\x01", 1<<20), "k", "v") },
			map[string]any{"@level": "info", "@message": strings.Repeat("\x01", 2<<10), "truncated": "true"},
		},
		"too long a line": {
			func(l *slog.Logger) {
				args := []any{}
				for i := range 10 {
					args = append(args, fmt.Sprint(i), strings.Repeat("x", 1<<20))
				}
				l.Info("m", args...)
			},
			map[string]any{"@level": "info", "@message": "m", "truncated": "true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, logged(t, c.log)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogLinesOfConcurrentCallsStayWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(sdk.NewLogHandler(&out, slog.LevelInfo))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				logger.With("w", 1).Info("m", "k", "v")
				logger.Debug("too low")
			}
		})
	}
	wg.Wait()
	lines := 0
	for line := range strings.Lines(out.String()) {
		lines++
		if !json.Valid([]byte(line)) {
			t.Fatalf("broken: %q", line)
		}
	}
	if lines != 800 {
		t.Errorf("%d lines, want 800", lines)
	}
}
