package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// destination is where orders are dropped, and what can happen to it.
type destination interface {
	config() map[string]any
	inbox() string
	acks() string
	kill(context.Context, *scene) error
	cut(context.Context, *scene) error
	blackHole(context.Context, *scene) error
	canFill() bool
	fill(context.Context, *scene) error
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

func (d *directory) canFill() bool { return d.mounted }

// fill uses up all room, and gives it back after a while.
func (d *directory) fill(ctx context.Context, s *scene) error {
	s.say("fill disk")
	ballast := filepath.Join(d.inbox(), "ballast")
	defer func() { _ = os.Remove(ballast) }() // it is gone if it was never made
	f, err := os.Create(ballast)
	if err != nil {
		return err
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
	s.pause(ctx, 300*time.Millisecond, 3*time.Second)
	return nil
}

var errNotHere = errors.New("this destination has no network")

func (d *directory) kill(context.Context, *scene) error      { return errNotHere }
func (d *directory) cut(context.Context, *scene) error       { return errNotHere }
func (d *directory) blackHole(context.Context, *scene) error { return errNotHere }
func (d *directory) heal()                                   {}

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

func (d *sftp) config() map[string]any {
	return map[string]any{
		"mode": "sftp", "host": "127.0.0.1", "port": d.proxy.Port, "username": d.server.User,
		"private_key": d.server.PrivateKey, "host_key": d.server.Fingerprint,
		"export_path": d.inbox(), "ack_path": d.acks(), "ack_poll_seconds": 1, "timeout_seconds": 5,
	}
}

func (d *sftp) canFill() bool { return false }

func (d *sftp) kill(ctx context.Context, s *scene) error {
	if s.rand.IntN(2) == 0 {
		s.say("kill sftp sessions")
		d.server.KillSessions()
		return nil
	}
	s.say("kill sftp server")
	d.server.Kill()
	s.pause(ctx, 100*time.Millisecond, 2*time.Second)
	return d.server.Restart(ctx)
}

// cut resets the connections at once, or after some more bytes, which is in
// the middle of some protocol step.
func (d *sftp) cut(ctx context.Context, s *scene) error {
	if s.rand.IntN(4) == 0 {
		s.say("cut network")
		d.proxy.Cut()
		return nil
	}
	bytes := int64(s.rand.IntN(6000))
	s.say("cut network after %d bytes", bytes)
	d.proxy.CutAfter(bytes)
	s.pause(ctx, 100*time.Millisecond, 600*time.Millisecond)
	d.proxy.CutAfter(-1)
	return nil
}

func (d *sftp) blackHole(ctx context.Context, s *scene) error {
	s.say("black hole")
	d.proxy.Blackhole(true)
	s.pause(ctx, 500*time.Millisecond, 8*time.Second)
	d.proxy.Blackhole(false)
	return nil
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
