package pluginhost_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/port"
)

// The test binary itself is the connector of all tests. install copies it into
// a plugin directory with a behavior appended; started with the connector's
// handshake cookie, it behaves so instead of running tests. Nothing has to be
// built, and any two behaviors are two binaries with digests of their own.

// behavior says how a connector behaves. The zero value is a well-behaved one of
// type NOOP.
type behavior struct {
	Type    string `json:"type,omitempty"`    // NOOP
	Name    string `json:"name,omitempty"`    // Noop
	Version string `json:"version,omitempty"` // 1.0.0
	Schema  string `json:"schema,omitempty"`  // one secret, "password", and "say"
	// Before is what happens before the handshake, see before.
	Before string `json:"before,omitempty"`
	// Describe is how Describe behaves: "", "hang", "crash", "change" (another
	// version after every start).
	Describe string `json:"describe,omitempty"`
	// Tunnel says whether it serves the tunnel.
	Tunnel bool `json:"tunnel,omitempty"`
	// Serve is what happens right after the handshake, see after.
	Serve string `json:"serve,omitempty"`
	// State is a file for plans that must remember something between two
	// processes, or tell the test something.
	State string `json:"state,omitempty"`
}

const marker = "\n#orderport-test-plan:"

// runAs runs the plan of the running binary if it was started as a connector,
// and otherwise the tests.
func runAs(m *testing.M) {
	if os.Getenv(port.CookieKey) == port.CookieValue {
		connect(readBehavior())
		return
	}
	m.Run()
}

// exit ends a connector's process.
func exit(code int) {
	os.Exit(code)
}

// pause waits where a connector, or a poll with a deadline, has no signal.
func pause(d time.Duration) { <-time.After(d) }

func readBehavior() behavior {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	const most = 8 << 10
	if _, err := f.Seek(-most, io.SeekEnd); err != nil {
		panic(err)
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	_, text, _ := bytes.Cut(tail, []byte(marker))
	var p behavior
	if err := json.Unmarshal(text, &p); err != nil {
		panic(err)
	}
	return p
}

// install writes a connector that follows a plan to dir and returns its path.
// An existing file is replaced the way that installers do it, by a rename.
func install(tb testing.TB, dir, name string, p behavior) string {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	src, err := os.Open(exe)
	if err != nil {
		tb.Fatal(err)
	}
	defer src.Close()
	plan, err := json.Marshal(p)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, port.BinaryPrefix+strings.TrimPrefix(name, port.BinaryPrefix))
	tmp := filepath.Join(dir, "."+filepath.Base(path)+".new")
	dst, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		tb.Fatal(err)
	}
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		tb.Fatal(err)
	}
	if _, err := dst.WriteString(marker + string(plan)); err != nil {
		tb.Fatal(err)
	}
	dst.Close()
	if err := os.Rename(tmp, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

// script writes a connector that is a shell script.
func script(tb testing.TB, dir, name, body string) string {
	tb.Helper()
	path := filepath.Join(dir, port.BinaryPrefix+name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		tb.Fatal(err)
	}
	return path
}
