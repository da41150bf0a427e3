// Package image turns a connector binary into something that can be executed
// again and again with the certainty that it is what was hashed.
//
// Hashing a path and then executing the path leaves a gap in which the file
// can be swapped; hashing and executing one descriptor still lets the file be
// rewritten in place. So the bytes are copied once, hashed on the way, into a
// copy that nobody else can change: on Linux a sealed memory file, elsewhere
// (or where memory files must not be executed) a file in the host's private
// directory that is write-protected and has no name any more where that is
// possible. Restarts use the same copy, so a restarted connector has the
// registered digest by construction.
package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/orderport/orderport/sdk/port"
)

// MaxSize bounds a binary, in bytes.
const MaxSize = 1 << 30

// Image is the host's own copy of one binary. It is safe for concurrent use
// until it is closed.
type Image struct {
	// SHA256 is the digest of the bytes that will be executed, in hex.
	SHA256 string
	// Size in bytes.
	Size int64

	file *os.File
	path string // to execute; empty: execute file by descriptor

	attach *port.Attach // nil: the host starts it
}

// Attach stands for a connector that somebody else has started, as the file
// that it has written says. SHA256 is that of the file: a restart is another
// image.
func Attach(path string) (*Image, error) {
	to, err := port.ReadAttach(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Append(nil, to))
	return &Image{SHA256: hex.EncodeToString(sum[:]), attach: &to}, nil
}

// Attached says where the connector is that the host does not start; false:
// the host starts it.
func (i *Image) Attached() (port.Attach, bool) {
	if i.attach == nil {
		return port.Attach{}, false
	}
	return *i.attach, true
}

// ErrNotExecutable says that the file is not a regular file with an execute
// permission.
var ErrNotExecutable = errors.New("not an executable file")

// Load copies and hashes the binary at path. dir is the private directory for
// a copy, used only where a memory file can't be.
func Load(path, dir string) (*Image, error) {
	src, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open binary: %w", err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return nil, fmt.Errorf("open binary: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return nil, fmt.Errorf("%s is %w (mode %s)", path, ErrNotExecutable, info.Mode())
	}
	if info.Size() > MaxSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, MaxSize)
	}
	img, err := seal(src, info.Name(), dir)
	if err != nil {
		return nil, fmt.Errorf("copy binary: %w", err)
	}
	return img, nil
}

// File returns the descriptor to hand to the child, and the path to execute
// given the number that this descriptor has in the child. File is nil if the
// path is all that is needed.
func (i *Image) File(childFD int) (*os.File, string) {
	if i.path != "" {
		return nil, i.path
	}
	return i.file, fmt.Sprintf("/proc/self/fd/%d", childFD)
}

// Close frees the copy. Processes that run it are not disturbed.
func (i *Image) Close() error {
	if i.attach != nil {
		return nil
	}
	var err error
	if i.path != "" {
		err = os.Remove(i.path)
	}
	return errors.Join(err, i.file.Close())
}

// transfer copies src to dst and returns digest and size of what it wrote.
func transfer(dst io.Writer, src io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(dst, h), bufio.NewReaderSize(io.LimitReader(src, MaxSize+1), 1<<20))
	if err != nil {
		return "", 0, err
	}
	if n > MaxSize {
		return "", 0, fmt.Errorf("larger than %d bytes", MaxSize)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// copyToFile is the portable form of a copy: write-protected, in a directory
// that only the host may enter.
func copyToFile(src io.Reader, dir string) (*Image, error) {
	tmp, err := os.CreateTemp(dir, "bin")
	if err != nil {
		return nil, err
	}
	sum, size, err := transfer(tmp, src)
	if err == nil {
		err = tmp.Chmod(0o500)
	}
	// The writing descriptor must be gone before anybody executes the file.
	if err = errors.Join(err, tmp.Close()); err != nil {
		_ = os.Remove(tmp.Name())
		return nil, err
	}
	file, err := os.Open(tmp.Name())
	if err != nil {
		_ = os.Remove(tmp.Name())
		return nil, err
	}
	return &Image{SHA256: sum, Size: size, file: file, path: tmp.Name()}, nil
}
