package launch

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
)

const line = "1|1|unix|/x/plugin1|grpc|" + "cert"

// find runs the filter over a stdout and returns what go-plugin would see.
func find(stdout io.Reader) (string, *connlog.Sink, string) {
	var logged bytes.Buffer
	sink := connlog.NewSink(slog.New(slog.NewTextHandler(&logged, nil)), nil)
	out, in := io.Pipe()
	done := make(chan struct{})
	go func() { filterHandshake(stdout, in, sink); close(done) }()
	seen, _ := io.ReadAll(out)
	<-done
	return string(seen), sink, logged.String()
}

func TestHandshakeIsFoundInNoise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stdout, want string }{
		"alone":                    {line + "\n", line + "\n"},
		"with a carriage return":   {line + "\r\n", line + "\n"},
		"after noise":              {"hello\n\n1|2\nab|1|unix|x\n" + line + "\nmore\n", line + "\n"},
		"after a long line":        {strings.Repeat("x", 1<<20) + "\n" + line + "\n", line + "\n"},
		"the second one is noise":  {line + "\n1|1|tcp|evil|grpc|\n", line + "\n"},
		"never":                    {"hello\nworld", ""},
		"without its end":          {line, ""},
		"too long to be one":       {line + strings.Repeat("c", 20<<10) + "\n", ""},
		"nothing at all":           {"", ""},
		"not after endless noise":  {strings.Repeat("noise\n", 1<<20) + line + "\n", ""},
		"a number that is too big": {"99999999999|1|unix|x|grpc\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _, _ := find(strings.NewReader(c.stdout)); got != c.want {
				t.Errorf("whole: got %.100q", got)
			}
			if len(c.stdout) < 10_000 {
				if got, _, _ := find(iotest.OneByteReader(strings.NewReader(c.stdout))); got != c.want {
					t.Errorf("byte by byte: got %.100q", got)
				}
			}
		})
	}
}

func TestNoiseIsLoggedAndTheHandshakeIsNot(t *testing.T) {
	t.Parallel()
	_, _, logged := find(strings.NewReader("before\n" + line + "\nafter\nlast"))
	for _, want := range []string{"before", "after", "last"} {
		if !strings.Contains(logged, "msg="+want) {
			t.Errorf("%q is not logged: %s", want, logged)
		}
	}
	if strings.Contains(logged, "cert") {
		t.Errorf("the handshake is logged: %s", logged)
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte("noise\n"+line+"\n"), 3)
	f.Fuzz(func(t *testing.T, stdout []byte, cut int) {
		cut = max(0, min(cut, len(stdout)))
		whole, _, _ := find(bytes.NewReader(stdout))
		parts, _, _ := find(io.MultiReader(bytes.NewReader(stdout[:cut]), bytes.NewReader(stdout[cut:])))
		if whole != parts {
			t.Errorf("it depends on how the bytes arrive: %q, %q", whole, parts)
		}
		if whole != "" && !isHandshake(bytes.TrimSpace([]byte(whole))) {
			t.Errorf("passed on %q", whole)
		}
	})
}

func TestOnlySocketsOfTheProcessItselfAreCalled(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "addr")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	own, other := filepath.Join(dir, "own"), filepath.Join(dir, "other")
	os.Mkdir(own, 0o700)
	os.Mkdir(other, 0o700)
	for _, path := range []string{own + "/sock", other + "/sock"} {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(own+"/file", nil, 0o600)
	os.Symlink(other+"/sock", own+"/link")
	if err := checkAddress(own, "unix", own+"/sock"); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{"tcp", "127.0.0.1:80"},
		{"tcp", own + "/sock"},
		{"unix", other + "/sock"},
		{"unix", own + "/../other/sock"},
		{"unix", own + "/link"},
		{"unix", own + "/file"},
		{"unix", own + "/none"},
		{"unix", "@abstract"},
		{"unix", "sock"},
		{"unix", own},
	} {
		if err := checkAddress(own, c[0], c[1]); err == nil {
			t.Errorf("%s %s is accepted", c[0], c[1])
		}
	}
}
