// Package hosttest makes connector binaries for the tests of package
// pluginhost and its parts: well-behaved ones and hostile ones.
//
// The test binary itself is the connector. Install copies it into a plugin
// directory with a Plan appended; started with the connector's handshake
// cookie, it follows the plan instead of running tests. So nothing has to be
// built, and any two plans are two binaries with digests of their own.
package hosttest

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk/port"
)

// Plan says how a connector behaves. The zero value is a well-behaved one of
// type NOOP.
type Plan struct {
	Type    string `json:"type,omitempty"`    // NOOP
	Name    string `json:"name,omitempty"`    // Noop
	Version string `json:"version,omitempty"` // 1.0.0
	Schema  string `json:"schema,omitempty"`  // one secret, "password", and "say"
	// Before is what happens before the handshake, see before.
	Before string `json:"before,omitempty"`
	// Describe is how Describe behaves: "", "hang", "crash", "change" (another
	// version after every start).
	Describe string `json:"describe,omitempty"`
	// Serve is what happens right after the handshake, see after.
	Serve string `json:"serve,omitempty"`
	// State is a file for plans that must remember something between two
	// processes, or tell the test something.
	State string `json:"state,omitempty"`
}

const marker = "\n#orderport-test-plan:"

// Main runs the plan of the running binary if it was started as a connector,
// and otherwise the tests.
func Main(m *testing.M) int {
	if os.Getenv(port.CookieKey) == port.CookieValue {
		connect(readPlan())
		return 0
	}
	return m.Run()
}

func readPlan() Plan {
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
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		panic(err)
	}
	return p
}

// Install writes a connector that follows a plan to dir and returns its path.
// An existing file is replaced the way that installers do it, by a rename.
func Install(tb testing.TB, dir, name string, p Plan) string {
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

// Script writes a connector that is a shell script.
func Script(tb testing.TB, dir, name, body string) string {
	tb.Helper()
	path := filepath.Join(dir, port.BinaryPrefix+name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		tb.Fatal(err)
	}
	return path
}
