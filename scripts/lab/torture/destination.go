package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// destination is where orders are dropped.
type destination interface {
	config() map[string]any
	inbox() string
	acks() string
	// remote is nil if nothing is between the connector and the directory.
	remote() *sftp
	canFill() bool
	// fill uses up all room, and returns what gives it back.
	fill() (give func() error, err error)
	heal()
	close()
}

func newDestination(ctx context.Context, kind, dir string) (destination, error) {
	d := directory{dir: dir}
	for _, path := range []string{d.inbox(), d.acks()} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
	}
	if kind == "filesystem" {
		return &d, d.mount()
	}
	return newSFTP(ctx, d)
}

// directory is a dropzone on this machine.
type directory struct {
	dir     string
	mounted bool
}

func (d *directory) inbox() string { return filepath.Join(d.dir, "inbox") }
func (d *directory) acks() string  { return filepath.Join(d.dir, "acks") }
func (d *directory) remote() *sftp { return nil }
func (d *directory) canFill() bool { return d.mounted }
func (d *directory) heal()         {}

func (d *directory) config() map[string]any {
	return map[string]any{"mode": "filesystem", "export_path": d.inbox(), "ack_path": d.acks(), "ack_poll_seconds": 1}
}

// mount puts a small file system of its own under the inbox, so that it can be
// filled. Only root can; others go without that fault.
func (d *directory) mount() error {
	if os.Geteuid() != 0 {
		fmt.Println("torture: not root, so no disk is filled")
		return nil
	}
	if err := syscall.Mount("tmpfs", d.inbox(), "tmpfs", 0, "size=16m"); err != nil {
		fmt.Printf("torture: can't mount a small file system (%v), so no disk is filled\n", err)
		return nil
	}
	d.mounted = true
	return nil
}

func (d *directory) fill() (func() error, error) {
	ballast := filepath.Join(d.inbox(), "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return nil, err
	}
	chunk := make([]byte, 64<<10)
	for size := len(chunk); size > 0; {
		if _, err := f.Write(chunk[:size]); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			break
		}
	}
	_ = f.Close()
	return func() error { return os.Remove(ballast) }, nil
}

func (d *directory) close() {
	if d.mounted {
		_ = syscall.Unmount(d.inbox(), syscall.MNT_DETACH)
	}
}

// sftp is a dropzone behind a real server, with a proxy in between.
type sftp struct {
	directory
	server *sshtest.Server
	proxy  *sshtest.Proxy
}

func newSFTP(ctx context.Context, d directory) (*sftp, error) {
	opts := sshtest.Options{Root: d.dir}
	if os.Getenv(sshtest.OpenSSH.Env()) == "" {
		opts.Binary = "/usr/sbin/sshd"
	}
	server, err := sshtest.Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	proxy, err := sshtest.StartProxy(server.Addr)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &sftp{d, server, proxy}, nil
}

func (d *sftp) remote() *sftp { return d }
func (d *sftp) canFill() bool { return false }

func (d *sftp) config() map[string]any {
	return map[string]any{
		"mode": "sftp", "host": "127.0.0.1", "port": d.proxy.Port, "username": d.server.User,
		"private_key": d.server.PrivateKey, "host_key": d.server.Fingerprint,
		"export_path": d.inbox(), "ack_path": d.acks(), "ack_poll_seconds": 1, "timeout_seconds": 5,
	}
}

func (d *sftp) heal() {
	d.proxy.CutAfter(-1)
	d.proxy.Blackhole(false)
	d.proxy.Refuse(false)
}

func (d *sftp) close() {
	d.proxy.Close()
	_ = d.server.Close()
}
