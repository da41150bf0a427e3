// Package launch starts a connector binary as the host does, and, on purpose,
// as no host should. It uses no plugin library: what it does is what
// CONTRACT.md says, so that it can also do the opposite.
package launch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/orderport/orderport/sdk/conformance/internal/procfs"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest/spawn"
)

// socketDirEnv names the folder of the socket, to the connector and to all that
// it starts.
const socketDirEnv = "PLUGIN_UNIX_SOCKET_DIR"

// Options say how to start a connector. The zero value of all but Binary is
// what a host does.
type Options struct {
	Binary string
	// WithoutCookie leaves the cookie out.
	WithoutCookie bool
	// Versions are the protocol versions that the host claims to speak. Empty:
	// the one of this contract.
	Versions string
	// Env is added to the environment, as "NAME=value".
	Env []string
	// WithoutLifeline passes no descriptor that tells of the host's death.
	WithoutLifeline bool
	// Under starts the connector below a shell that stands for a host and can
	// be killed, see Process.KillHost.
	Under bool
}

// Process is a connector that was started. Close ends it.
type Process struct {
	// Pid is the connector's process; with Options.Under that of the shell.
	Pid int
	// SocketDir is PLUGIN_UNIX_SOCKET_DIR, WorkDir the working directory: both
	// are empty at the start and gone after Close.
	SocketDir, WorkDir string
	// Started is when it was started.
	Started time.Time
	// Stdout and Stderr are what it has printed so far.
	Stdout, Stderr *Capture

	cmd      *exec.Cmd
	identity *identity
	lifeline *os.File      // the host's end; nil: none
	exited   chan struct{} // closed once it has been waited for
	root     string        // the folder above SocketDir and WorkDir
}

// Start starts the connector and returns at once.
func Start(opts Options) (*Process, error) {
	p := &Process{exited: make(chan struct{}), Stdout: newCapture(), Stderr: newCapture()}
	var err error
	if p.identity, err = newIdentity(); err != nil {
		return nil, err
	}
	if err := p.makeFolders(); err != nil {
		return nil, err
	}
	if err := p.start(opts); err != nil {
		_ = os.RemoveAll(p.root)
		return nil, fmt.Errorf("start %s: %w", filepath.Base(opts.Binary), err)
	}
	return p, nil
}

// makeFolders keeps paths short: a socket's path has at most 107 bytes.
func (p *Process) makeFolders() error {
	var err error
	if p.root, err = os.MkdirTemp("", "opc"); err != nil {
		return err
	}
	p.SocketDir, p.WorkDir = filepath.Join(p.root, "s"), filepath.Join(p.root, "w")
	return errors.Join(os.Mkdir(p.SocketDir, 0o700), os.Mkdir(p.WorkDir, 0o555)) //nolint:gosec // nobody may write into it
}

func (p *Process) start(opts Options) error {
	binary, err := filepath.Abs(opts.Binary)
	if err != nil {
		return err
	}
	p.cmd = exec.Command(binary)
	if opts.Under {
		// The shell holds the host's end of the lifeline as descriptor 4, and
		// its child does not.
		p.cmd = exec.Command("/bin/sh", "-c", `"$0" 4>&- & wait`, binary)
	}
	p.cmd.Dir = p.WorkDir
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	p.cmd.WaitDelay = 2 * time.Second // a child that keeps the pipes open
	p.cmd.SysProcAttr = ownGroup(!opts.Under)
	p.cmd.Env = p.environment(opts)
	if !opts.WithoutLifeline {
		theirs, ours, err := os.Pipe()
		if err != nil {
			return err
		}
		defer theirs.Close()
		p.cmd.ExtraFiles = []*os.File{theirs} // becomes descriptor 3
		p.cmd.Env = append(p.cmd.Env, port.LifelineEnv+"=3")
		if opts.Under {
			defer ours.Close()
			p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, ours)
		} else {
			p.lifeline = ours
		}
	}
	p.Started = time.Now()
	if err := spawn.Start(p.cmd); err != nil {
		p.closeLifeline()
		return err
	}
	p.Pid = p.cmd.Process.Pid
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return nil
}

func (p *Process) environment(opts Options) []string {
	versions := opts.Versions
	if versions == "" {
		versions = fmt.Sprint(port.ProtocolVersion)
	}
	env := []string{
		"PLUGIN_PROTOCOL_VERSIONS=" + versions,
		socketDirEnv + "=" + p.SocketDir,
		"PLUGIN_CLIENT_CERT=" + p.identity.pem,
		port.LogLevelEnv + "=debug",
	}
	if !opts.WithoutCookie {
		env = append(env, port.CookieKey+"="+port.CookieValue)
	}
	return append(env, opts.Env...)
}

// Exited is closed once the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the end, at most as long as given, and says how it ended: the
// exit status, or -1 after a signal. ok is false if it still runs.
func (p *Process) Wait(within time.Duration) (status int, ok bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		select {
		case <-p.exited: // both, and the end counts
		default:
			return 0, false
		}
	}
	return p.cmd.ProcessState.ExitCode(), true
}

// Signal sends a signal to the connector alone.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the whole process group with SIGKILL, at once.
func (p *Process) Kill() {
	select {
	case <-p.exited:
		p.killLeftBehind()
	default:
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
		<-p.exited
	}
}

// killLeftBehind kills what the connector has left in its group. The number of
// the group may belong to somebody else by now, so each process is asked where
// it is from.
func (p *Process) killLeftBehind() {
	if syscall.Kill(-p.Pid, 0) != nil {
		return // usually there is no such group any more
	}
	for _, pid := range procfs.Group(p.Pid) {
		if bytes.Contains(procfs.Texts(pid)["environ"], []byte(socketDirEnv+"="+p.SocketDir)) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// KillHost kills the shell that the connector was started Under, and nothing
// else.
func (p *Process) KillHost() { _ = p.cmd.Process.Kill() }

// Close kills what is left and removes the folders.
func (p *Process) Close() {
	p.Kill()
	p.closeLifeline()
	_ = os.RemoveAll(p.root)
}

func (p *Process) closeLifeline() {
	if p.lifeline != nil {
		_ = p.lifeline.Close()
	}
}

// Handshake is the line that a connector prints.
type Handshake struct {
	Line     string
	Protocol string
	Socket   string
	// Certificate is the connector's own, in base64.
	Certificate string
}

// Handshake waits for the first line that looks like one, and returns it with
// its fields. The error says what came instead.
func (p *Process) Handshake(ctx context.Context, within time.Duration) (Handshake, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		line, complete, changed := p.Stdout.handshakeLine()
		if complete {
			return parseHandshake(line)
		}
		select {
		case <-changed:
		case <-p.exited:
			if line, complete, _ = p.Stdout.handshakeLine(); complete {
				return parseHandshake(line)
			}
			return Handshake{}, fmt.Errorf("the connector ended (%s) without a handshake line; standard error: %s",
				p.cmd.ProcessState, p.Stderr.Tail(300))
		case <-ctx.Done():
			return Handshake{}, fmt.Errorf("no handshake line within %v; %s; standard output: %q; standard error: %q",
				within, procfs.Doing(p.Pid), p.Stdout.Tail(200), p.Stderr.Tail(2000))
		}
	}
}

// handshakeLine returns the first line with five bars. changed is closed when
// more has been printed.
func (c *Capture) handshakeLine() (line string, complete bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := bufio.NewReader(strings.NewReader(c.buffer.String()))
	for {
		text, err := lines.ReadString('\n')
		if err != nil {
			return "", false, c.changed
		}
		if strings.Count(text, "|") >= 4 {
			return strings.TrimSuffix(text, "\n"), true, c.changed
		}
	}
}

func parseHandshake(line string) (Handshake, error) {
	fields := strings.Split(line, "|")
	h := Handshake{Line: line}
	if len(fields) != 6 {
		return h, fmt.Errorf("the handshake line has %d fields, want 6: %q", len(fields), line)
	}
	if fields[0] != "1" || fields[2] != "unix" || fields[4] != "grpc" {
		return h, fmt.Errorf("the handshake line must be 1|<version>|unix|<path>|grpc|<certificate>, got %q", line)
	}
	h.Protocol, h.Socket, h.Certificate = fields[1], fields[3], fields[5]
	return h, nil
}
