package connlog_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
)

func sink() (*connlog.Sink, *bytes.Buffer) {
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	return connlog.NewSink(log, func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }), &buf
}

func TestLinesBecomeRecordsOfTheirLevel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, level, msg, fields string }{
		"hclog":                  {`{"@level":"warn","@message":"hello","@timestamp":"x","k":1}`, "WARN", "hello", `{"k":"1"}`},
		"slog":                   {`{"time":"x","level":"ERROR","msg":"hello"}`, "ERROR", "hello", ""},
		"trace":                  {`{"@level":"trace","@message":"hello"}`, "DEBUG-4", "hello", ""},
		"an unknown level":       {`{"@level":"loud","@message":"hello"}`, "INFO", "hello", ""},
		"a message of no string": {`{"@level":"warn","@message":1}`, "WARN", `{"@level":"warn","@message":1}`, ""},
		"a level of no string":   {`{"@level":[1],"@message":"hello"}`, "INFO", "hello", `{"@level":"[1]"}`},
		"other JSON":             {`{"a":1}`, "INFO", `{"a":1}`, ""},
		"an array":               {`[1]`, "INFO", `[1]`, ""},
		"plain text":             {"hello", "INFO", "hello", ""},
		"plain text, level":      {"[DEBUG] hello", "DEBUG", "[DEBUG] hello", ""},
		"a panic":                {"panic: hello", "ERROR", "panic: hello", ""},
		"terminal control":       {"\x1b[31mred\x1b[0m\ttab", "INFO", " [31mred [0m tab", ""},
		"broken UTF-8":           {"a\xffb", "INFO", "a\uFFFDb", ""},
		"a secret":               {`{"@message":"pw hunter2","hunter2":"hunter2"}`, "INFO", "pw ***", `{"***":"***"}`},
		"an escaped secret":      {`{"@message":"\u0068unter2","n":{"x":"\u0068unter2"}}`, "INFO", "***", `{"n":"{\"x\":\"***\"}"}`},
		"a number kept exactly":  {`{"@message":"m","n":1.10000000000000000001}`, "INFO", "m", `{"n":"1.10000000000000000001"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, buf := sink()
			w := s.Writer("stderr")
			w.Write([]byte(c.line))
			w.Close()
			var rec struct {
				Level, Msg, Stream string
				Fields             json.RawMessage
			}
			if err := json.Unmarshal(buf.Bytes(), &rec); err != nil {
				t.Fatalf("%v in %s", err, buf)
			}
			if rec.Level != c.level || rec.Msg != c.msg || string(rec.Fields) != c.fields || rec.Stream != "stderr" {
				t.Errorf("got %s", buf)
			}
		})
	}
}

func TestLineIsCutAfterSecretsAreTakenOut(t *testing.T) {
	t.Parallel()
	s, buf := sink()
	w := s.Writer("stdout")
	w.Write([]byte(strings.Repeat("x", 4<<10-4) + "hunter2" + strings.Repeat("y", 1<<20) + "\nnext\n"))
	if strings.Contains(buf.String(), "hunt") {
		t.Error("the start of a secret stays at the cut")
	}
	if !strings.Contains(buf.String(), `"cut_bytes":`) || !strings.Contains(buf.String(), `"msg":"next"`) {
		t.Errorf("got %d bytes: …%s", buf.Len(), buf.String()[max(0, buf.Len()-300):])
	}
}

func TestFieldsAreBounded(t *testing.T) {
	t.Parallel()
	many := map[string]any{"@message": "m", strings.Repeat("k", 1000): strings.Repeat("v", 5000)}
	for i := range 500 {
		many[strings.Repeat("z", 3)+string(rune('a'+i%26))+strings.Repeat("q", i)] = i
	}
	line, _ := json.Marshal(many)
	s, buf := sink()
	w := s.Writer("stderr")
	w.Write(append(line[:min(len(line), 60<<10)], '\n'))
	if buf.Len() > 20<<10 {
		t.Errorf("one line became %d bytes", buf.Len())
	}
}

func TestTailKeepsTheLastLinesAndThePanic(t *testing.T) {
	t.Parallel()
	s, _ := sink()
	w := s.Writer("stderr")
	for range 30 {
		w.Write([]byte("old\n"))
	}
	w.Write([]byte("panic: boom hunter2\n\ngoroutine 1:\nmain.go:1\n"))
	tail := s.Tail()
	if len(tail) != 20 || tail[19] != "main.go:1" || s.LastWord() != "panic: boom ***" {
		t.Errorf("%d lines, last %q, word %q", len(tail), tail[len(tail)-1], s.LastWord())
	}
}

func FuzzSinkNeverPanicsAndNeverLeaks(f *testing.F) {
	f.Add([]byte(`{"@message":1,"@level":{},"@timestamp":[]}` + "\n{\n\x00\xff\nhunter2"))
	f.Add([]byte(`{"@message":"hunter2","a":{"b":["hunter2"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, buf := sink()
		s.Drain("stderr", bytes.NewReader(data))
		s.End()
		if strings.Contains(buf.String(), "hunter2") || strings.Contains(strings.Join(s.Tail(), "\n"), "hunter2") {
			t.Errorf("a secret leaks: %s", buf)
		}
		for line := range bytes.Lines(buf.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("the log is broken: %s", line)
			}
		}
	})
}
