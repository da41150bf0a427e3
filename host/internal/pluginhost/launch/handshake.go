package launch

import (
	"bytes"
	"io"

	"github.com/orderport/orderport/host/internal/pluginhost/connlog"
)

// Bounds on what is searched for the handshake.
const (
	maxHandshake = 16 << 10 // bytes of the handshake line itself
	maxNoise     = 4 << 20  // bytes on stdout before it
)

// filterHandshake reads a process's stdout. The first line that is a handshake
// goes to out, which is closed then; all other lines are log lines. It reads
// until stdout ends, so that the process never blocks on it.
func filterHandshake(stdout io.Reader, out *io.PipeWriter, sink *connlog.Sink) {
	noise := sink.Writer("stdout")
	defer noise.Close()
	defer out.Close()
	f := handshakeFinder{noise: noise}
	buf := make([]byte, 32<<10)
	for {
		n, err := stdout.Read(buf)
		if line := f.feed(buf[:n]); line != nil {
			_, _ = out.Write(append(line, '\n')) // returns once go-plugin has it, or has given up
			out.Close()
		}
		if err != nil {
			noise.Take(f.line)
			return
		}
	}
}

// handshakeFinder cuts stdout into lines until it has seen the handshake.
type handshakeFinder struct {
	noise *connlog.Writer
	line  []byte
	long  bool // the line can't be the handshake any more
	seen  int
	found bool
}

// feed takes the next bytes and returns the handshake line when it is there.
func (f *handshakeFinder) feed(p []byte) []byte {
	var handshake []byte
	for len(p) > 0 && !f.found {
		i := bytes.IndexByte(p, '\n')
		part, rest := p, []byte(nil)
		if i >= 0 {
			part, rest = p[:i], p[i+1:]
		}
		f.take(part)
		if i >= 0 {
			handshake = f.endLine()
		}
		p = rest
	}
	f.noise.Take(p)
	return handshake
}

func (f *handshakeFinder) take(part []byte) {
	f.seen += len(part)
	switch {
	case f.long:
		f.noise.Take(part)
	case len(f.line)+len(part) > maxHandshake || f.seen > maxNoise:
		f.long = true
		f.noise.Take(f.line)
		f.noise.Take(part)
		f.line = nil
	default:
		f.line = append(f.line, part...)
	}
}

func (f *handshakeFinder) endLine() []byte {
	line := bytes.TrimSpace(f.line)
	if !f.long && isHandshake(line) {
		f.found, f.line = true, nil
		return line
	}
	f.noise.Take(f.line)
	f.noise.Take([]byte{'\n'})
	f.line = f.line[:0]
	f.long = f.seen > maxNoise
	return nil
}

// isHandshake says whether a line has the form
// "core version|protocol version|network|address|...".
func isHandshake(line []byte) bool {
	parts := bytes.Split(line, []byte{'|'})
	return len(parts) >= 4 && isNumber(parts[0]) && isNumber(parts[1]) && len(parts[2]) > 0 && len(parts[3]) > 0
}

func isNumber(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) < 10
}
