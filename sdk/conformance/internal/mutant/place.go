package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// place is where files go. Its paths are absolute.
type place interface {
	// write makes a new file, flushed.
	write(file string, data []byte) error
	read(file string) ([]byte, error)
	stat(file string) (fs.FileInfo, error)
	list(dir string) ([]fs.FileInfo, error)
	// rename never replaces.
	rename(from, to string) error
	remove(file string) error
	mkdir(dir string) error
	close()
}

// open returns the place of a config. It ends with the context.
func (m *mutant) open(ctx context.Context, c config) (place, error) {
	if c.Mode == "directory" {
		return local{}, nil
	}
	switch old := m.oldPassword(c); {
	case m.is("keeps-first-password"):
		c.Password = old
	case m.is("tries-old-password") && old != c.Password:
		again := c
		again.Password = old
		if at, err := m.dial(ctx, again); err == nil {
			return at, nil
		}
	}
	return m.dial(ctx, c)
}

// local is a file system of this machine.
type local struct{}

func (local) write(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the config says where
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (local) read(file string) ([]byte, error)      { return os.ReadFile(file) } //nolint:gosec // as above
func (local) stat(file string) (fs.FileInfo, error) { return os.Stat(file) }
func (local) remove(file string) error              { return os.Remove(file) }
func (local) mkdir(dir string) error                { return os.Mkdir(dir, 0o700) }
func (local) close()                                {}

func (local) list(dir string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(dir)
	var infos []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	return infos, err
}

func (local) rename(from, to string) error {
	if err := os.Link(from, to); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return errConflict
		}
		return err
	}
	return os.Remove(from)
}

// remote is one session with an SFTP server, for one call.
type remote struct {
	conn   *ssh.Client
	client *sftp.Client
	leaks  bool // stays open
}

func (m *mutant) dial(ctx context.Context, c config) (place, error) {
	_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(c.HostKey))
	if err != nil {
		return nil, fmt.Errorf("read the host key: %w", err)
	}
	var dialer net.Dialer
	if m.is("ignores-deadline") || m.is("abandons-connections") {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, err := m.login(raw, c, key)
	if err != nil {
		stop()
		_ = raw.Close()
		if ctx.Err() != nil {
			err = os.ErrDeadlineExceeded
		}
		return nil, err
	}
	client, err := sftp.NewClient(conn)
	stop()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &remote{conn: conn, client: client, leaks: m.is("leaks-sessions")}, nil
}

func (m *mutant) login(raw net.Conn, c config, key ssh.PublicKey) (*ssh.Client, error) {
	asked := false
	conn, channels, requests, err := ssh.NewClientConn(raw, c.Host, &ssh.ClientConfig{
		User: c.User,
		Auth: []ssh.AuthMethod{ssh.PasswordCallback(func() (string, error) {
			asked = true
			return c.Password, nil
		})},
		HostKeyCallback: func(_ string, _ net.Addr, offered ssh.PublicKey) error {
			if string(offered.Marshal()) != string(key.Marshal()) {
				return errHostKey
			}
			return nil
		},
	})
	switch {
	case errors.Is(err, errHostKey):
		return nil, errHostKey
	case err != nil && asked:
		return nil, errRefused
	case err != nil:
		return nil, &net.OpError{Op: "ssh", Err: err}
	}
	return ssh.NewClient(conn, channels, requests), nil
}

func (r *remote) close() {
	if r.leaks {
		return
	}
	_ = r.client.Close()
	_ = r.conn.Close()
}

func (r *remote) write(file string, data []byte) error {
	f, err := r.client.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (r *remote) read(file string) ([]byte, error) {
	f, err := r.client.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (r *remote) stat(file string) (fs.FileInfo, error)  { return r.client.Stat(file) }
func (r *remote) list(dir string) ([]fs.FileInfo, error) { return r.client.ReadDir(dir) }
func (r *remote) remove(file string) error               { return r.client.Remove(file) }
func (r *remote) mkdir(dir string) error                 { return r.client.Mkdir(dir) }

func (r *remote) rename(from, to string) error {
	if _, err := r.client.Lstat(to); err == nil {
		if _, err := r.client.Lstat(from); err != nil {
			return err // it was renamed already
		}
		return errConflict
	}
	err := r.client.Rename(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, found := r.client.Lstat(to); found == nil {
		return errConflict // since the look before
	}
	return err
}
