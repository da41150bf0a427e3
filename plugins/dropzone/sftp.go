package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/pkg/sftp"
)

// sftpTarget is the target on an SFTP server.
//
// Its Rename is SSH_FXP_RENAME, which must not replace. OpenSSH makes a link
// and removes the old name, ProFTPD looks before it renames. Before a server
// that is neither, the connector looks itself, so that one which does replace
// loses nobody's file unless it appears in that very moment.
type sftpTarget struct {
	pool    *pool
	mode    fs.FileMode
	setMode bool
}

var _ target = (*sftpTarget)(nil)

func newSFTPTarget(cfg config, p *pool) *sftpTarget {
	t := &sftpTarget{pool: p}
	t.mode, t.setMode = cfg.fileMode()
	return t
}

// with runs a request in a session of the pool. One that may be repeated is,
// once, when the session turns out to be dead.
func (p *pool) with(ctx context.Context, size int, repeat bool, request func(*session, *sftp.Client) error) error {
	for {
		s, err := p.acquire(ctx)
		if err != nil {
			return err
		}
		err = s.do(ctx, size, func(c *sftp.Client) error { return request(s, c) })
		if errors.Is(err, errLost) || errors.Is(err, errSlow) {
			p.remove(s) // now, not when the end of the connection is noticed
		}
		p.release(s)
		if !repeat || !errors.Is(err, errLost) {
			return err
		}
		repeat = false
	}
}

func (t *sftpTarget) Create(ctx context.Context, name string, data []byte) error {
	return t.pool.with(ctx, len(data), false, func(s *session, c *sftp.Client) error {
		created, err := t.create(s, c, name, data)
		if created && (err != nil || ctx.Err() != nil) {
			// Nobody may be waiting any more, so nobody else would remove it.
			_ = c.Remove(name)
		}
		return err
	})
}

func (t *sftpTarget) CreateVisible(ctx context.Context, name string, data []byte) error {
	return t.pool.with(ctx, len(data), false, func(s *session, c *sftp.Client) error {
		_, err := t.create(s, c, name, data)
		return err
	})
}

func (t *sftpTarget) Complete(ctx context.Context, name string, data []byte) error {
	return t.pool.with(ctx, len(data), true, func(s *session, c *sftp.Client) error {
		file, err := c.OpenFile(name, os.O_WRONLY)
		if err != nil {
			return err
		}
		return explain(c, name, writeRemote(s, file, data))
	})
}

// create says, too, whether the file was made, by this call.
func (t *sftpTarget) create(s *session, c *sftp.Client, name string, data []byte) (bool, error) {
	file, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		if vague(err) && exists(c, name) {
			err = fs.ErrExist
		}
		return false, explain(c, name, err)
	}
	if t.setMode {
		if err := file.Chmod(t.mode); err != nil {
			return true, errors.Join(err, file.Close())
		}
	}
	return true, explain(c, name, writeRemote(s, file, data))
}

// writeRemote takes the file over and closes it. Where the server can't flush,
// its answer to the close is the best there is.
func writeRemote(s *session, file *sftp.File, data []byte) error {
	_, err := file.Write(data)
	if err == nil && s.fsync {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

func (t *sftpTarget) Rename(ctx context.Context, from, to string) error {
	return t.pool.with(ctx, 0, false, func(s *session, c *sftp.Client) error {
		if !s.guarded && exists(c, to) {
			return fs.ErrExist
		}
		// The server may have taken its time to answer, and nobody waits any
		// more: what is not visible yet stays so.
		if err := ctx.Err(); err != nil {
			return err
		}
		err := plainRename(ctx, c, from, to)
		if err == nil || errors.Is(remote(err), errLost) {
			return err
		}
		// The answer to a refused rename names no reason that servers agree on.
		if _, serr := c.Lstat(from); errors.Is(serr, fs.ErrNotExist) {
			return fs.ErrNotExist
		}
		if exists(c, to) {
			return fs.ErrExist
		}
		return explain(c, to, err)
	})
}

// plainRename falls back to OpenSSH's extension for a server without
// SSH_FXP_RENAME. The extension replaces, so it looks first.
func plainRename(ctx context.Context, c *sftp.Client, from, to string) error {
	err := c.Rename(from, to)
	if !errors.Is(remote(err), errUnsupported) {
		return err
	}
	if _, ok := c.HasExtension("posix-rename@openssh.com"); !ok {
		return err
	}
	if exists(c, to) {
		return fs.ErrExist
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.PosixRename(from, to)
}

// Flush shares a flush of the directory with others that want one.
func (t *sftpTarget) Flush(ctx context.Context, dir string) error {
	if t.pool.noDirFlush.Load() {
		return nil
	}
	return t.pool.rounds.change(ctx, dir, func() error { return nil })
}

// flushDir opens the directory as a file and flushes it. OpenSSH allows that,
// others don't.
func (p *pool) flushDir(dir string) error {
	return p.with(context.Background(), 0, true, func(s *session, c *sftp.Client) error {
		if !s.fsync {
			p.noDirFlush.Store(true)
			return nil
		}
		d, err := c.Open(dir)
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(remote(err), errLost) {
			return err
		}
		p.noDirFlush.Store(true)
		return nil
	})
}

func (t *sftpTarget) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	return value(ctx, t, func(c *sftp.Client) (fs.FileInfo, error) { return c.Stat(name) })
}

func (t *sftpTarget) List(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	return valueOf(ctx, t, listing, func(c *sftp.Client) ([]fs.FileInfo, error) { return c.ReadDirContext(ctx, dir) })
}

func (t *sftpTarget) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	return value(ctx, t, func(c *sftp.Client) ([]byte, error) {
		file, err := c.Open(name)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(file, limit))
		return data, errors.Join(err, file.Close())
	})
}

// value is with for a request that returns something and may be repeated.
func value[T any](ctx context.Context, t *sftpTarget, request func(*sftp.Client) (T, error)) (T, error) {
	return valueOf(ctx, t, 0, request)
}

// valueOf is value for a request of a size. The channel keeps a request that is
// no longer waited for from a data race.
func valueOf[T any](ctx context.Context, t *sftpTarget, size int, request func(*sftp.Client) (T, error)) (T, error) {
	got := make(chan T, 2)
	err := t.pool.with(ctx, size, true, func(_ *session, c *sftp.Client) error {
		v, err := request(c)
		if err == nil {
			got <- v
		}
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return <-got, nil
}

func (t *sftpTarget) Remove(ctx context.Context, name string) error {
	return t.pool.with(ctx, 0, true, func(_ *session, c *sftp.Client) error {
		err := c.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (t *sftpTarget) Mkdir(ctx context.Context, dir string) error {
	return t.pool.with(ctx, 0, true, func(_ *session, c *sftp.Client) error {
		err := c.Mkdir(dir)
		if err != nil && exists(c, dir) {
			return nil
		}
		return err
	})
}

// Identity is empty: SFTP has nothing like an inode.
func (t *sftpTarget) Identity(context.Context, string) (string, error) { return "", nil }

func exists(c *sftp.Client, name string) bool {
	_, err := c.Lstat(name)
	return err == nil
}

// SSH_FXP_STATUS codes beyond those that pkg/sftp turns into io/fs errors.
// Servers send the ones above 8 only now and then: they belong to later
// drafts of the protocol than the one that all speak.
const (
	statusFailure      = 4
	statusUnsupported  = 8
	statusNoSuchPath   = 10
	statusExists       = 11
	statusReadOnly     = 12
	statusNoSpace      = 14
	statusQuota        = 15
	statusNotDirectory = 19
)

// vague says that the server named no reason.
func vague(err error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status) && status.Code == statusFailure
}

// explain finds the reason behind a bare "failure", which is all that OpenSSH
// says about a full or read-only disk, by asking for the disk's state.
func explain(c *sftp.Client, name string, err error) error {
	if !vague(err) {
		return err
	}
	disk, derr := c.StatVFS(path.Dir(name))
	if derr != nil {
		return err
	}
	const readOnly = 1
	switch {
	case disk.Flag&readOnly != 0:
		return fmt.Errorf("%w: the disk is read-only: %w", fs.ErrPermission, err)
	case disk.Bavail == 0 || (disk.Files > 0 && disk.Favail == 0):
		return fmt.Errorf("%w: %w", errNoSpace, err)
	}
	return err
}

// remote gives errors of the library the names that target promises. What is
// no answer of the server means that the session is broken.
func remote(err error) error {
	var status *sftp.StatusError
	switch {
	case err == nil,
		errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrExist),
		errors.Is(err, errNoSpace), errors.Is(err, errNotDirectory), errors.Is(err, errUnsupported),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case !errors.As(err, &status):
		return fmt.Errorf("%w: %w", errLost, err)
	}
	text := strings.ToLower(status.Error())
	switch {
	case status.Code == statusNoSpace, status.Code == statusQuota,
		strings.Contains(text, "no space"), strings.Contains(text, "quota"):
		return fmt.Errorf("%w: %w", errNoSpace, err)
	case status.Code == statusExists:
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	case status.Code == statusNoSuchPath:
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case status.Code == statusReadOnly:
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	case status.Code == statusNotDirectory, strings.Contains(text, "not a directory"):
		return fmt.Errorf("%w: %w", errNotDirectory, err)
	case status.Code == statusUnsupported:
		return fmt.Errorf("%w: %w", errUnsupported, err)
	}
	return err
}
