// Package ndjson reads newline-delimited JSON from strangers: line by line, in
// bounded memory, going on after a line that is too long.
package ndjson

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrTooLong says that a line is longer than the limit. The next call of Next
// goes on with the line after it.
var ErrTooLong = errors.New("the line is too long")

// Reader reads lines. It is not safe for concurrent use.
type Reader struct {
	src    *bufio.Reader
	limit  int
	number int
}

// NewReader returns a Reader whose lines have at most limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{src: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// Next returns the next line that is not blank, without its line end, and its
// number, from 1, blank lines counted. The line is the caller's to keep. At the
// end it returns io.EOF; a last line need not end in a newline.
func (r *Reader) Next() (line []byte, number int, err error) {
	for {
		line, err = r.line()
		if err != nil {
			return nil, r.number, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, r.number, nil
		}
	}
}

// line returns the next line, blank or not.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	long, begun := false, false
	for {
		part, err := r.src.ReadSlice('\n')
		if len(part) > 0 && !begun {
			begun = true
			r.number++
		}
		part = bytes.TrimRight(part, "\r\n")
		if long = long || len(line)+len(part) > r.limit; !long {
			line = append(line, part...)
		} else {
			line = nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && begun, err == nil:
			if long {
				return nil, ErrTooLong
			}
			return line, nil
		default:
			return nil, err
		}
	}
}
