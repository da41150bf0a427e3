package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// state is what a broken connector remembers from call to call; the sound one
// remembers nothing but that it is stopping.
type state struct {
	stopping atomic.Bool
	stalled  atomic.Bool  // a call has timed out
	cut      atomic.Bool  // a call was cancelled
	running  atomic.Int32 // exports
	turn     sync.Mutex   // held by the one export

	mu        sync.Mutex
	hoard     []any             // guarded by mu
	lastCall  string            // guarded by mu; the config of the last call
	passwords map[string]string // guarded by mu; the first one seen, by host

	firstConfig *config // guarded by mu
}

func (s *state) keep(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hoard = append(s.hoard, v)
}

// misbehave does at the start what is wrong about the process as a whole.
func (m *mutant) misbehave() {
	switch m.broken {
	case "leaves-child":
		_ = exec.Command("/bin/sleep", "20").Start()
	case "busy-idle":
		for range 4 {
			go func() {
				for { //nolint:staticcheck // spins on purpose
				}
			}()
		}
	case "crash-prints-config":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGABRT, syscall.SIGQUIT)
		go func() {
			<-signals
			m.mu.Lock()
			fmt.Fprintln(os.Stderr, "crashed while working on", m.lastCall)
			os.Exit(2) //nolint:forbidigo // a broken connector
		}()
	}
}

// betray does what is wrong about secrets, with the config of a call.
func (m *mutant) betray(c config, raw []byte) {
	m.mu.Lock()
	m.lastCall = string(raw)
	m.mu.Unlock()
	switch m.broken {
	case "logs-config":
		m.log.line("debug", "the config is "+string(raw), "")
	case "logs-secret-in-base64":
		m.log.line("debug", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+c.Token)), "")
	case "secret-in-command-line":
		_ = exec.Command("/bin/sh", "-c", "sleep 1; exit 0", c.Token).Start()
	case "writes-config":
		_ = os.WriteFile(filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "config.json"), raw, 0o600)
	case "long-log-line":
		m.log.line("debug", strings.Repeat("x", 70<<10), "")
	case "plain-logs":
		fmt.Fprintln(os.Stderr, "a call began")
	}
}

// leak does what is wrong about resources, in each export.
func (m *mutant) leak(start *connectorv1.ExportStart) {
	switch m.broken {
	case "leaks-descriptors":
		if f, err := os.Open(os.DevNull); err == nil {
			m.keep(f)
		}
	case "leaks-threads":
		go func() {
			runtime.LockOSThread()
			select {}
		}()
		m.keep(nil)
	case "leaks-memory":
		m.keep(touched(2 << 20))
	case "hoards-memory":
		if len(start.GetDraftOrder().GetLines()) > 1000 {
			m.keep(touched(300 << 20))
		}
	case "chatty":
		for range 1000 {
			m.log.line("debug", strings.Repeat("x", 1000), start.GetExportId())
		}
	}
}

// touched returns memory that really is there.
func touched(size int) []byte {
	memory := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	return memory
}

// oldPassword returns the first password that was seen for a server.
func (s *state) oldPassword(c config) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("%s:%d", c.Host, c.Port)
	if s.passwords == nil {
		s.passwords = map[string]string{}
	}
	if _, seen := s.passwords[key]; !seen {
		s.passwords[key] = c.Password
	}
	return s.passwords[key]
}
