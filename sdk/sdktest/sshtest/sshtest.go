// Package sshtest runs real SFTP servers on loopback for tests and for
// benchmark programs: OpenSSH's sshd and ProFTPD with mod_sftp. Each server
// has a configuration, a host key and a state directory of its own, needs no
// privileges, and can be killed, paused and restarted on the same port.
//
// Tests call [Run], which skips where the server's binary is not named by its
// environment variable. Programs call [Start] and [Server.Close]:
//
//	srv, err := sshtest.Start(ctx, sshtest.Options{Kind: sshtest.OpenSSH})
//	if err != nil { … }
//	defer srv.Close()
//	// dial srv.Addr as srv.User with srv.PrivateKey, expect srv.HostKey,
//	// write below srv.Root
//
// [StartProxy] puts a TCP proxy in between that cuts, delays or swallows what
// passes.
package sshtest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind names a server program.
type Kind string

// The kinds.
const (
	// OpenSSH is sshd with internal-sftp. It authenticates the current user by
	// key; it offers no password, which would need the machine's own accounts.
	OpenSSH Kind = "openssh"
	// ProFTPD is proftpd with mod_sftp. It authenticates a virtual user by
	// password or by key, who acts as the current user.
	ProFTPD Kind = "proftpd"
)

// Env returns the environment variable that names the kind's binary.
func (k Kind) Env() string {
	if k == ProFTPD {
		return "ORDERPORT_TEST_PROFTPD"
	}
	return "ORDERPORT_TEST_SSHD"
}

// ErrNoBinary is wrapped by Start's error when neither Options.Binary nor the
// kind's environment variable names the server's binary.
var ErrNoBinary = errors.New("no server binary")

// Options says what to start. The zero value is an OpenSSH server with a root
// directory of its own.
type Options struct {
	// Kind is OpenSSH if empty.
	Kind Kind
	// Binary is the server's absolute path; empty: the kind's environment
	// variable.
	Binary string
	// Root is the directory that the caller drops files below. Empty: a new
	// one, removed by Close. Servers are not confined to it.
	Root string
	// HostKeyTypes are the host keys that the server offers, out of "ed25519",
	// "ecdsa" and "rsa". Empty: ed25519 only.
	HostKeyTypes []string
	// ReadOnly makes an OpenSSH server refuse whatever changes a file.
	ReadOnly bool
	// AsksForPasswords makes an OpenSSH server offer passwords too, in both the
	// ways that it has by default. Without PAM it takes none.
	AsksForPasswords bool
	// Umask is applied to created files by an OpenSSH server; empty: 022.
	Umask string
	// Logger gets the life of the server; nil: nothing is logged.
	Logger *slog.Logger
}

func (o Options) kind() Kind {
	if o.Kind == "" {
		return OpenSSH
	}
	return o.Kind
}

// Server is a running (or killed) server. Its fields do not change; its
// methods are safe for concurrent use.
type Server struct {
	Kind Kind
	// Addr is "127.0.0.1:port"; Host and Port are its parts.
	Addr string
	Host string
	Port int
	// User is the name to log in with.
	User string
	// Password is the user's password; empty if the server takes none.
	Password string
	// PrivateKey is the user's key in OpenSSH's PEM format.
	PrivateKey string
	// HostKey is the first host key as a known_hosts line with the address,
	// and HostKeys holds all of them.
	HostKey  string
	HostKeys []string
	// Fingerprint is "SHA256:…" of the first host key, and Fingerprints of all.
	Fingerprint  string
	Fingerprints []string
	// Root is the directory to drop files below.
	Root string

	binary   string
	args     []string
	state    string // directory of configuration, keys and logs
	ownsRoot bool
	log      *slog.Logger

	mu   sync.Mutex
	proc *process // guarded by mu; nil while killed
}

// Start starts a server and returns once it accepts connections. The context
// bounds the start only.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts.Kind = opts.kind()
	if len(opts.HostKeyTypes) == 0 {
		opts.HostKeyTypes = []string{"ed25519"}
	}
	binary := opts.Binary
	if binary == "" {
		binary = os.Getenv(opts.Kind.Env())
	}
	if binary == "" {
		return nil, fmt.Errorf("start %s: %w: set %s to the server's path", opts.Kind, ErrNoBinary, opts.Kind.Env())
	}
	s := &Server{Kind: opts.Kind, Host: "127.0.0.1", Root: opts.Root, binary: binary, log: opts.Logger}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.prepare(ctx, opts); err != nil {
		s.removeDirs()
		return nil, fmt.Errorf("start %s: %w", opts.Kind, err)
	}
	if err := s.startOnFreePort(ctx, opts); err != nil {
		err = fmt.Errorf("start %s: %w\n%s", opts.Kind, err, s.Log())
		s.removeDirs()
		return nil, err
	}
	return s, nil
}

// startOnFreePort picks a port that is free now. Somebody else may take it
// before the server does, so it tries a few.
func (s *Server) startOnFreePort(ctx context.Context, opts Options) error {
	var err error
	for range 3 {
		if s.Port, err = freePort(); err != nil {
			return err
		}
		s.Addr = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
		if err = s.configure(opts); err != nil {
			return err
		}
		if err = s.Restart(ctx); err == nil {
			return nil
		}
	}
	return err
}

// prepare makes directories, keys and the user.
func (s *Server) prepare(ctx context.Context, opts Options) error {
	var err error
	if s.state, err = os.MkdirTemp("", "sshtest-"); err != nil {
		return err
	}
	if s.Root == "" {
		s.ownsRoot = true
		if s.Root, err = os.MkdirTemp("", "sshtest-root-"); err != nil {
			return err
		}
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	s.User = me.Username
	for _, typ := range opts.HostKeyTypes {
		if err := keygen(ctx, typ, s.hostKeyFile(typ)); err != nil {
			return err
		}
	}
	if err := keygen(ctx, "ed25519", s.file("user_key")); err != nil {
		return err
	}
	pem, err := os.ReadFile(s.file("user_key"))
	if err != nil {
		return err
	}
	s.PrivateKey = string(pem)
	if s.Kind == ProFTPD {
		return s.prepareProFTPD(ctx, me)
	}
	return s.prepareOpenSSH()
}

// configure writes the configuration for the chosen port and fills the fields
// that name it.
func (s *Server) configure(opts Options) error {
	s.HostKeys, s.Fingerprints = nil, nil
	for _, typ := range opts.HostKeyTypes {
		public, err := os.ReadFile(s.hostKeyFile(typ) + ".pub")
		if err != nil {
			return err
		}
		fields := strings.Fields(string(public))
		raw, err := base64.StdEncoding.DecodeString(fields[1])
		if err != nil {
			return err
		}
		sum := sha256.Sum256(raw)
		s.HostKeys = append(s.HostKeys, fmt.Sprintf("[%s]:%d %s %s", s.Host, s.Port, fields[0], fields[1]))
		s.Fingerprints = append(s.Fingerprints, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:]))
	}
	s.HostKey, s.Fingerprint = s.HostKeys[0], s.Fingerprints[0]
	if s.Kind == ProFTPD {
		return s.configureProFTPD(opts.HostKeyTypes)
	}
	return s.configureOpenSSH(opts)
}

// Kill kills the server and all its sessions at once, as a power cut of the
// service would. It returns when they are gone. Killing twice is harmless.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
		s.proc = nil
		s.log.Info("server killed", "addr", s.Addr)
	}
}

// KillSessions kills the sessions and leaves the server running.
func (s *Server) KillSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.killDescendants()
	}
}

// Restart kills what runs and starts the server again on the same port and
// with the same keys. It returns once connections are accepted.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	proc, err := startProcess(s.binary, s.args, s.file("output.log"))
	if err != nil {
		return err
	}
	if err := awaitBanner(ctx, s.Addr, proc); err != nil {
		proc.kill()
		return err
	}
	s.proc = proc
	s.log.Info("server started", "kind", s.Kind, "addr", s.Addr, "pid", proc.cmd.Process.Pid)
	return nil
}

// Pause stops the server and all its sessions with SIGSTOP: connections stay
// open, and nothing answers. Resume or Close ends it.
func (s *Server) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.pause()
	}
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.resume()
	}
}

// Sessions counts the processes below the server: about one or two for each
// open connection, by kind.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return len(descendants(s.proc.cmd.Process.Pid))
}

// Log returns the end of what the server has logged.
func (s *Server) Log() string {
	var b strings.Builder
	for _, name := range []string{"output.log", "server.log", "sftp.log"} {
		data, err := os.ReadFile(s.file(name))
		if err != nil || len(data) == 0 {
			continue
		}
		if len(data) > 4096 {
			data = data[len(data)-4096:]
		}
		fmt.Fprintf(&b, "--- %s\n%s\n", name, data)
	}
	return b.String()
}

// Close kills the server and removes its directories. Closing twice is
// harmless.
func (s *Server) Close() error {
	s.Kill()
	s.removeDirs()
	return nil
}

func (s *Server) removeDirs() {
	_ = os.RemoveAll(s.state)
	if s.ownsRoot {
		_ = os.RemoveAll(s.Root)
	}
}

func (s *Server) file(name string) string       { return filepath.Join(s.state, name) }
func (s *Server) hostKeyFile(typ string) string { return s.file("host_key_" + typ) }

func keygen(ctx context.Context, typ, file string) error {
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", typ, "-N", "", "-C", "", "-f", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a key with ssh-keygen: %w: %s", err, out)
	}
	return nil
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// awaitBanner waits until the server greets as an SSH server does.
func awaitBanner(ctx context.Context, addr string, proc *process) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for {
		if greets(ctx, addr) {
			return nil
		}
		select {
		case <-proc.exited:
			return fmt.Errorf("the server ended: %v", proc.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("the server does not greet on %s: %w", addr, ctx.Err())
		case <-retry.C:
		}
	}
}

func greets(ctx context.Context, addr string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	banner := make([]byte, 4)
	n, err := conn.Read(banner)
	return err == nil && string(banner[:n]) == "SSH-"
}
