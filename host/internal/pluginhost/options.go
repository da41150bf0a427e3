package pluginhost

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	sdkport "github.com/orderport/orderport/sdk/port"
)

// Options say which connectors to run and how.
type Options struct {
	// Dir is the plugin directory.
	Dir string
	// RunDir is a private directory for sockets and copies of binaries,
	// usually a folder of the data directory. Several hosts may share one.
	RunDir string
	// RecordDir is where calls are recorded when an operator asks for it, see
	// package record. Empty: they are not.
	RecordDir string
	// Dev lets binaries run that the lock file does not pin.
	Dev bool
	// Attach names files that connectors under a debugger write (port.Attach).
	// They are called where they run and never started or ended. Only with Dev.
	Attach []string
	// Only names the connector types to launch, as the lock file knows them;
	// for short-lived commands. Empty, or with Dev: all.
	Only []string
	// PassEnv names variables of the host's environment that connectors get
	// beyond the built-in list (TZ, LANG, LC_*, SSL_CERT_*).
	PassEnv []string
	// Logger gets the host's messages and what connectors print. Nil: none.
	Logger *slog.Logger
	// Limits bounds how long things take. Zero fields get their defaults.
	Limits Limits
}

// Limits are the bounds of a Host.
type Limits struct {
	Start     time.Duration // until a process has shaken hands; 10 s
	Describe  time.Duration // for Describe; 5 s
	Settle    time.Duration // that Host.Start waits for all connectors; 3 s
	Call      time.Duration // for calls whose context has no deadline; 15 min
	Available time.Duration // that a call waits for a process that is starting; 2 s
	Stop      time.Duration // for a process to end when it is asked to; 3 s
	Drain     time.Duration // for calls of a replaced process to end; 15 min
	Idle      time.Duration // until an unused isolated process is stopped; 30 s
	Scan      time.Duration // between two looks at the plugin directory; 2 s

	PingEvery   time.Duration // between two pings of a process; 4 s
	PingTimeout time.Duration // for the answer; 5 s. Two misses in a row end the process

	BackoffMin time.Duration // before the first restart; 50 ms
	BackoffMax time.Duration // before a later one; 30 s
	// CrashLimit is how many processes in a row may die without having done
	// anything before the connector is quarantined; 8.
	CrashLimit int
	// Healthy is how long a process has to live for its death not to count as
	// one of a row; 10 s. One that has answered a call does not count either.
	Healthy time.Duration
	// Parole is how long a quarantine lasts until one more try; 5 min.
	Parole time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &o.Limits
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.Start, 10 * time.Second},
		{&l.Describe, 5 * time.Second},
		{&l.Settle, 3 * time.Second},
		{&l.Call, 15 * time.Minute},
		{&l.Available, 2 * time.Second},
		{&l.Stop, 3 * time.Second},
		{&l.Drain, 15 * time.Minute},
		{&l.Idle, 30 * time.Second},
		{&l.Scan, 2 * time.Second},
		{&l.PingEvery, 4 * time.Second},
		{&l.PingTimeout, 5 * time.Second},
		{&l.BackoffMin, 50 * time.Millisecond},
		{&l.BackoffMax, 30 * time.Second},
		{&l.Healthy, 10 * time.Second},
		{&l.Parole, 5 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.CrashLimit == 0 {
		l.CrashLimit = 8
	}
	return o
}

// checkAttach keeps attached connectors away from production, and their files
// apart from binaries.
func (o Options) checkAttach() error {
	if len(o.Attach) > 0 && !o.Dev {
		return errors.New("plugin host: connectors are attached in development mode only")
	}
	for _, path := range o.Attach {
		if strings.HasPrefix(filepath.Base(path), sdkport.BinaryPrefix) {
			return fmt.Errorf("plugin host: %s is named like a connector binary: choose another name for the file to attach by", path)
		}
	}
	return nil
}

func hostEnviron() []string { return os.Environ() }
