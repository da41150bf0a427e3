package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

func secret(text string) sdk.Secret { return sdk.NewSecret(text) }

// fields is a config as a user writes it.
type fields map[string]any

func (f fields) json() string {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// with returns a copy with one field set, or taken away by nil.
func (f fields) with(name string, value any) fields {
	changed := fields{}
	for k, v := range f {
		changed[k] = v
	}
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

func filesystemFields(dir string) fields {
	return fields{"mode": "filesystem", "export_path": dir}
}

func sftpFields(srv *sshtest.Server) fields {
	f := fields{
		"mode": "sftp", "host": srv.Host, "port": srv.Port, "username": srv.User,
		"host_key": srv.HostKey, "export_path": srv.Root,
	}
	if srv.Password != "" {
		return f.with("password", srv.Password)
	}
	return f.with("private_key", srv.PrivateKey)
}

// exportID returns the n-th id; their first eight characters differ.
func exportID(n int) string { return fmt.Sprintf("%08x-9f0e-4c0f-8a53-6d2a7f1f9b11", n) }

// fieldsOf returns what a user would write for a backend's config.
func fieldsOf(t testing.TB, cfg config) fields {
	t.Helper()
	if cfg.Mode == modeFilesystem {
		return filesystemFields(cfg.ExportPath)
	}
	f := fields{
		"mode": "sftp", "host": cfg.Host, "port": cfg.Port, "username": cfg.Username,
		"host_key": cfg.HostKey, "export_path": cfg.ExportPath,
	}
	if !cfg.Password.Empty() {
		return f.with("password", cfg.Password.Reveal())
	}
	return f.with("private_key", cfg.PrivateKey.Reveal())
}
