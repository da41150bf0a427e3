package launch

import (
	"errors"
	"fmt"
	"os"
)

// lifeline is a pipe that nobody writes to. Every connector holds the read
// end; the host holds the only write end, so that its end, however it comes,
// is an end-of-file for all of them.
type lifeline struct{ read, write *os.File }

func newLifeline() (*lifeline, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open lifeline: %w", err)
	}
	return &lifeline{r, w}, nil
}

func (l *lifeline) close() error { return errors.Join(l.write.Close(), l.read.Close()) }
