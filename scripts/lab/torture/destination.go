package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// destination is where orders are dropped.
type destination interface {
	config() map[string]any
	inbox() string
	acks() string
	// remote is nil if nothing is between the connector and the directory.
	remote() *sftp
	room() *smallDisk // where the inbox is
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
	d.disk.dir = d.inbox()
	d.disk.mount("16m")
	if kind == "filesystem" {
		return &d, nil
	}
	return newSFTP(ctx, d)
}

// directory is a dropzone on this machine.
type directory struct {
	dir  string
	disk smallDisk
}

func (d *directory) inbox() string    { return filepath.Join(d.dir, "inbox") }
func (d *directory) acks() string     { return filepath.Join(d.dir, "acks") }
func (d *directory) remote() *sftp    { return nil }
func (d *directory) room() *smallDisk { return &d.disk }
func (d *directory) heal()            {}
func (d *directory) close()           { d.disk.unmount() }

func (d *directory) config() map[string]any {
	return map[string]any{"mode": "filesystem", "export_path": d.inbox(), "ack_path": d.acks(), "ack_poll_seconds": 1}
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
	d.disk.unmount()
}
