package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
)

// filesystem is the target in a directory of this machine, which may be a
// mounted share. File and directory are flushed with fsync.
type filesystem struct {
	mode    fs.FileMode // permissions of new files
	setMode bool        // whether mode holds whatever the umask says
	rounds  *rounds     // and hands, shared by all exports of the process
}

var _ publisher = (*filesystem)(nil)

func newFilesystem(cfg config, shared *rounds) *filesystem {
	f := &filesystem{mode: 0o666, rounds: shared}
	if mode, ok := cfg.fileMode(); ok {
		f.mode, f.setMode = mode, true
	}
	return f
}

// await runs a call that can't be interrupted, such as one to a share whose
// server is gone, and stops waiting for it when the context ends.
func (f *filesystem) await(ctx context.Context, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	f.rounds.hands.Do(func() { done <- call() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is what await's callers use where a call returns a value: it must not
// be shared with a call that is no longer waited for.
func result[T any](ctx context.Context, f *filesystem, call func() (T, error)) (T, error) {
	got := make(chan T, 1)
	err := f.await(ctx, func() error {
		value, err := call()
		got <- value
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return <-got, nil
}

func (f *filesystem) Create(ctx context.Context, name string, data []byte) error {
	return f.await(ctx, func() error {
		err := f.create(name, data)
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		if err != nil || ctx.Err() != nil {
			// Nobody may be waiting any more, so nobody else would remove it.
			_ = os.Remove(name)
		}
		return err
	})
}

func (f *filesystem) CreateVisible(ctx context.Context, name string, data []byte) error {
	return f.await(ctx, func() error { return f.create(name, data) })
}

func (f *filesystem) Complete(ctx context.Context, name string, data []byte) error {
	return f.await(ctx, func() error {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return local(err)
		}
		return writeAndFlush(file, data)
	})
}

func (f *filesystem) create(name string, data []byte) error {
	file, err := f.begin(name, data)
	if err == nil {
		err = file.flush()
	}
	return err
}

// Stage implements publisher.
func (f *filesystem) Stage(ctx context.Context, dir, name string, data []byte) func() (string, error) {
	name = place{path: dir}.join(name)
	var identity string
	c := &change{
		ctx: ctx,
		do: func() (newFile, error) {
			var err error
			if identity, err = identify(dir); err != nil {
				return nil, err
			}
			file, err := f.begin(name, data)
			if err != nil {
				return nil, err // and not a newFile that is nil
			}
			return file, nil
		},
		undo: func() { _ = os.Remove(name) },
	}
	f.rounds.add(dir, c)
	return func() (string, error) {
		if err := c.wait(); err != nil {
			return "", err
		}
		return identity, nil
	}
}

// Publish implements publisher.
func (f *filesystem) Publish(ctx context.Context, dir, from, to string) error {
	in := place{path: dir}
	return f.rounds.change(ctx, dir, func() error { return rename(in.join(from), in.join(to)) })
}

// short is up to how many bytes are written by whoever makes the file. The rest
// comes with the flush, where it keeps nobody waiting.
const short = 256 << 10

// localFile is a new file whose content is not flushed, and perhaps not written.
// It goes without os.File, which asks six times what kind of file it is: this is
// what each order costs.
type localFile struct {
	name string
	fd   int
	rest []byte
}

// begin makes a file, and writes its content if that is short. If it fails
// nothing is left, but for a file that was there.
func (f *filesystem) begin(name string, data []byte) (*localFile, error) {
	file := &localFile{name: name, rest: data}
	err := uninterrupted(func() (err error) {
		file.fd, err = syscall.Open(name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, uint32(f.mode.Perm()))
		return err
	})
	if err != nil {
		return nil, file.failure("open", err)
	}
	if f.setMode {
		err = uninterrupted(func() error { return syscall.Fchmod(file.fd, uint32(f.mode.Perm())) })
	}
	if err == nil && len(data) <= short {
		err = file.write()
	}
	if err != nil {
		_ = syscall.Close(file.fd)
		_ = os.Remove(name)
		return nil, file.failure("write", err)
	}
	return file, nil
}

func (l *localFile) write() error {
	for len(l.rest) > 0 {
		err := uninterrupted(func() error {
			n, err := syscall.Write(l.fd, l.rest)
			l.rest = l.rest[max(n, 0):]
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *localFile) startWriting() error {
	return l.failure("write", startWriting(l.fd))
}

func (l *localFile) flush() error {
	err := l.write()
	if err == nil {
		err = uninterrupted(func() error { return syscall.Fsync(l.fd) })
	}
	// A close can report what a flush did not, on network file systems.
	if cerr := syscall.Close(l.fd); err == nil {
		err = cerr
	}
	return l.failure("write", err)
}

func (l *localFile) failure(op string, err error) error {
	if err == nil {
		return nil
	}
	return local(&fs.PathError{Op: op, Path: l.name, Err: err})
}

// uninterrupted repeats a call that a signal has broken off.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// writeAndFlush takes the file over and closes it.
func writeAndFlush(file *os.File, data []byte) error {
	_, err := file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	// A close can report what a flush did not, on network file systems.
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return local(err)
}

func (f *filesystem) Rename(ctx context.Context, from, to string) error {
	return f.await(ctx, func() error { return rename(from, to) })
}

func rename(from, to string) error {
	err := renameNoReplace(from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		return linkAndUnlink(from, to)
	}
	if err != nil {
		return local(&os.LinkError{Op: "rename", Old: from, New: to, Err: err})
	}
	return nil
}

// linkAndUnlink renames where the file system has no rename that refuses to
// replace, such as on NFS. A link refuses, too. If this process dies between
// the two steps, both names stay and hold the same file.
func linkAndUnlink(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return local(err)
	}
	return local(os.Remove(from))
}

// Flush shares a round with the changes of others.
func (f *filesystem) Flush(ctx context.Context, dir string) error {
	return f.rounds.change(ctx, dir, func() error { return nil })
}

func (f *filesystem) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	return result(ctx, f, func() (fs.FileInfo, error) {
		info, err := os.Stat(name)
		return info, local(err)
	})
}

func (f *filesystem) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	return result(ctx, f, func() ([]fs.FileInfo, error) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, local(err)
		}
		infos := make([]fs.FileInfo, 0, len(entries))
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone since the directory was read
			}
			if err != nil {
				return nil, local(err)
			}
			infos = append(infos, info)
		}
		return infos, nil
	})
}

func (f *filesystem) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	return result(ctx, f, func() ([]byte, error) {
		file, err := os.Open(name)
		if err != nil {
			return nil, local(err)
		}
		defer file.Close()
		data, err := io.ReadAll(io.LimitReader(file, limit))
		return data, local(err)
	})
}

func (f *filesystem) Remove(ctx context.Context, name string) error {
	return f.await(ctx, func() error {
		err := os.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return local(err)
	})
}

func (f *filesystem) Mkdir(ctx context.Context, dir string) error {
	return f.await(ctx, func() error {
		err := os.Mkdir(dir, 0o777)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return local(err)
		}
		return f.Flush(ctx, path.Dir(dir))
	})
}

func (f *filesystem) Identity(ctx context.Context, dir string) (string, error) {
	return result(ctx, f, func() (string, error) { return identify(dir) })
}

// identify returns the directory's inode and, where the system knows it, when it
// was made: a share that is not mounted shows another directory at the same path,
// and one that was removed and made again often has the same inode.
func identify(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", local(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", nil
	}
	identity := "inode " + strconv.FormatUint(st.Ino, 10)
	if made, ok := madeAt(dir); ok {
		identity += madeMark + strconv.FormatInt(made.UnixNano(), 10)
	}
	return identity, nil
}

// madeMark is in front of the time in an identity.
const madeMark = " made "

// local gives errors of the operating system the names that target promises.
func local(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: %w", errNoSpace, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", errNotDirectory, err)
	default:
		return err
	}
}
