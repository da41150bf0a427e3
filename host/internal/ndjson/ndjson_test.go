package ndjson

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// line is what Next returned.
type line struct {
	Text   string
	Number int
	Long   bool
}

func all(t testing.TB, r io.Reader, limit int) []line {
	t.Helper()
	var lines []line
	reader := NewReader(r, limit)
	for {
		text, number, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return lines
		case errors.Is(err, ErrTooLong):
			lines = append(lines, line{Number: number, Long: true})
		case err != nil:
			t.Fatal(err)
		default:
			lines = append(lines, line{Text: string(text), Number: number})
		}
	}
}

func TestLinesAreReadWithTheirNumbers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct {
		input string
		want  []line
	}{
		"nothing":                    {"", nil},
		"only blank lines":           {"\n \r\n\t\n", nil},
		"a last line without an end": {"a\nb", []line{{Text: "a", Number: 1}, {Text: "b", Number: 2}}},
		"a last line with an end":    {"a\nb\n", []line{{Text: "a", Number: 1}, {Text: "b", Number: 2}}},
		"carriage returns":           {"a\r\nb\r\n", []line{{Text: "a", Number: 1}, {Text: "b", Number: 2}}},
		"blank lines count":          {"\n\na\n\nb\n", []line{{Text: "a", Number: 3}, {Text: "b", Number: 5}}},
		"a line of the limit":        {strings.Repeat("y", 1000) + "\nb\n", []line{{Text: strings.Repeat("y", 1000), Number: 1}, {Text: "b", Number: 2}}},
		"a line over the limit":      {strings.Repeat("y", 1001) + "\nb\n", []line{{Number: 1, Long: true}, {Text: "b", Number: 2}}},
		"a line far over the limit":  {"a\n" + long + "\nb", []line{{Text: "a", Number: 1}, {Number: 2, Long: true}, {Text: "b", Number: 3}}},
		"a long last line":           {"a\n" + long, []line{{Text: "a", Number: 1}, {Number: 2, Long: true}}},
		"white space inside is kept": {" {\"a\": 1} \n", []line{{Text: ` {"a": 1} `, Number: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, r := range map[string]io.Reader{"whole": strings.NewReader(c.input), "bytewise": iotest.OneByteReader(strings.NewReader(c.input))} {
				if diff := cmp.Diff(c.want, all(t, r, 1000)); diff != "" {
					t.Errorf("%s:\n%s", kind, diff)
				}
			}
		})
	}
}

func TestAReadErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 10)
	if text, _, err := r.Next(); err != nil || string(text) != "a" {
		t.Fatalf("first line %q, %v", text, err)
	}
	if text, _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("half a line %q, %v; want the error", text, err)
	}
}

func TestALineIsTheCallersToKeep(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("first\nsecond\n"), 10)
	first, _, _ := r.Next()
	_, _, _ = r.Next()
	if string(first) != "first" {
		t.Errorf("the first line became %q", first)
	}
}

func FuzzLinesAreThoseOfSplit(f *testing.F) {
	f.Add([]byte("a\n\nb\r\nccc"), 3)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		limit = max(1, limit%50)
		var want []line
		parts := bytes.Split(data, []byte("\n"))
		if len(parts[len(parts)-1]) == 0 {
			parts = parts[:len(parts)-1]
		}
		for i, part := range parts {
			part = bytes.TrimRight(part, "\r")
			switch {
			case len(part) > limit:
				want = append(want, line{Number: i + 1, Long: true})
			case len(bytes.TrimSpace(part)) > 0:
				want = append(want, line{Text: string(part), Number: i + 1})
			}
		}
		if diff := cmp.Diff(want, all(t, bytes.NewReader(data), limit)); diff != "" {
			t.Error(diff)
		}
	})
}
