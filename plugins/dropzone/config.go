package main

import (
	_ "embed"
	"io/fs"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/orderport/orderport/sdk"
)

//go:embed config.schema.json
var configSchema []byte

// The modes of a config.
const (
	modeSFTP       = "sftp"
	modeFilesystem = "filesystem"
)

// config is a connection's config, complete with the schema's defaults.
type config struct {
	Mode                  string     `json:"mode"`
	Host                  string     `json:"host"`
	Port                  int        `json:"port"`
	Username              string     `json:"username"`
	Password              sdk.Secret `json:"password"`
	PrivateKey            sdk.Secret `json:"private_key"`
	Passphrase            sdk.Secret `json:"passphrase"`
	HostKey               string     `json:"host_key"`
	InsecureIgnoreHostKey bool       `json:"insecure_ignore_host_key"`
	ExportPath            string     `json:"export_path"`
	AckPath               string     `json:"ack_path"`
	AckPollSeconds        int        `json:"ack_poll_seconds"` // the host's business
	AtomicWrite           bool       `json:"atomic_write"`
	TimeoutSeconds        int        `json:"timeout_seconds"`
	MaxSessions           int        `json:"max_sessions"`
	MaxInFlight           int        `json:"max_in_flight"`  // the host's business
	MaxPerMinute          int        `json:"max_per_minute"` // the host's business
	FileMode              string     `json:"file_mode"`
}

func decodeConfig(conn sdk.Connection) (config, error) {
	cfg, err := sdk.DecodeConfig[config](conn)
	if err != nil {
		return config{}, err
	}
	cfg.ExportPath = path.Clean(cfg.ExportPath)
	if cfg.AckPath != "" {
		cfg.AckPath = path.Clean(cfg.AckPath)
	}
	return cfg, nil
}

func (c config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c config) timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

// fileMode returns the permissions of the files, and whether the config names
// any.
func (c config) fileMode() (fs.FileMode, bool) {
	bits, err := strconv.ParseUint(c.FileMode, 8, 32)
	return fs.FileMode(bits), err == nil
}

// identity names the place that files go to, without secrets. A checkpoint
// carries it: a temporary file that is missing means nothing at another place.
func (c config) identity() string {
	if c.Mode == modeFilesystem {
		return "filesystem " + c.ExportPath
	}
	return "sftp " + c.Username + "@" + c.address() + " " + c.ExportPath
}
