package target

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTPServer is an SFTP server with one user, confined to one directory. It
// says who logged in with what, and fails on request. Its methods may be used
// concurrently.
type SFTPServer struct {
	// Addr is where it listens.
	Addr string
	// User and Password are what it lets in.
	User, Password string

	root     string
	listener net.Listener
	config   *ssh.ServerConfig
	key      ssh.PublicKey
	wg       sync.WaitGroup

	renaming sync.Mutex // a rename looks and acts as one step

	mu     sync.Mutex
	logins []Login               // guarded by mu
	open   map[net.Conn]struct{} // guarded by mu
	hook   func(Operation) error // guarded by mu; nil: none
	after  func(Operation)       // guarded by mu; nil: none
	closed bool                  // guarded by mu
}

// Login is one attempt to log in with a password.
type Login struct {
	User, Password string
	Good           bool
}

// Operation is one step that a client asks for.
type Operation struct {
	// Name is "create", "read", "write", "close", "rename", "remove", "mkdir",
	// "list", "stat" or "setstat".
	Name string
	// Path is what it is about.
	Path string
}

// StartSFTPServer serves root, below which all paths must lie.
func StartSFTPServer(root string) (*SFTPServer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	s := &SFTPServer{User: "conformance", Password: Canary(), root: root, open: map[net.Conn]struct{}{}}
	if s.key, err = ssh.NewPublicKey(public); err != nil {
		return nil, err
	}
	s.config = &ssh.ServerConfig{PasswordCallback: s.login, MaxAuthTries: 10}
	s.config.AddHostKey(signer)
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.Addr = s.listener.Addr().String()
	s.wg.Go(s.accept)
	return s, nil
}

// Fingerprint is "SHA256:…" of the host key.
func (s *SFTPServer) Fingerprint() string {
	sum := sha256.Sum256(s.key.Marshal())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// KeyLine is the host key as a line of known_hosts without its first field.
func (s *SFTPServer) KeyLine() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.key)))
}

// Logins lists the attempts to log in so far.
func (s *SFTPServer) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Login(nil), s.logins...)
}

// Open counts the connections that are open now.
func (s *SFTPServer) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// SetPassword changes the password for logins from now on.
func (s *SFTPServer) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Password = password
}

// OnOperation has every operation ask hook first: an error of it is what the
// client gets. It may wait, and is called concurrently. Nil: none.
func (s *SFTPServer) OnOperation(hook func(Operation) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// AfterOperation has every rename and removal that was made call hook before
// its client gets the answer. Nil: none.
func (s *SFTPServer) AfterOperation(hook func(Operation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = hook
}

// made tells of a step that was made, and returns its error.
func (s *SFTPServer) made(name, file string, err error) error {
	s.mu.Lock()
	hook := s.after
	s.mu.Unlock()
	if err == nil && hook != nil {
		hook(Operation{Name: name, Path: file})
	}
	return err
}

// Disconnect cuts all connections.
func (s *SFTPServer) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// Close ends the server.
func (s *SFTPServer) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.listener.Close()
	s.Disconnect()
	s.wg.Wait()
}

func (s *SFTPServer) login(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	good := meta.User() == s.User && string(password) == s.Password
	s.logins = append(s.logins, Login{User: meta.User(), Password: string(password), Good: good})
	if !good {
		return nil, errors.New("refused")
	}
	return &ssh.Permissions{}, nil
}

func (s *SFTPServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if s.keep(conn) {
			s.wg.Go(func() {
				defer s.forget(conn)
				s.serve(conn)
			})
		}
	}
}

func (s *SFTPServer) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	s.open[conn] = struct{}{}
	return true
}

func (s *SFTPServer) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *SFTPServer) serve(conn net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go s.session(channel, requests)
	}
}

func (s *SFTPServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		wanted := request.Type == "subsystem" && strings.HasSuffix(string(request.Payload), "sftp")
		_ = request.Reply(wanted, nil)
		if !wanted {
			continue
		}
		server := sftp.NewRequestServer(channel, sftp.Handlers{FileGet: s, FilePut: s, FileCmd: s, FileList: s},
			sftp.WithStartDirectory(s.root))
		_ = server.Serve()
		_ = server.Close()
		_ = channel.Close()
	}
}

// ask returns the path that an operation is about, or why it fails.
func (s *SFTPServer) ask(name, file string) (string, error) {
	file = path.Clean(file)
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		err := hook(Operation{Name: name, Path: file})
		if errors.Is(err, os.ErrPermission) {
			err = sftp.ErrSSHFxPermissionDenied // the library has no status for the other
		}
		if err != nil {
			return "", err
		}
	}
	if file != s.root && !strings.HasPrefix(file, s.root+"/") {
		return "", sftp.ErrSSHFxPermissionDenied
	}
	return file, nil
}

// Fileread implements sftp.FileReader.
func (s *SFTPServer) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	file, err := s.ask("read", r.Filepath)
	if err != nil {
		return nil, err
	}
	return os.Open(file)
}

// Filewrite implements sftp.FileWriter.
func (s *SFTPServer) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	file, err := s.ask("create", r.Filepath)
	if err != nil {
		return nil, err
	}
	flags := os.O_RDWR
	asked := r.Pflags()
	if asked.Creat {
		flags |= os.O_CREATE
	}
	if asked.Trunc {
		flags |= os.O_TRUNC
	}
	if asked.Excl {
		flags |= os.O_EXCL
	}
	handle, err := os.OpenFile(file, flags, 0o600) //nolint:gosec // confined by ask
	if err != nil {
		return nil, err
	}
	return &writing{File: handle, server: s, path: file}, nil
}

// writing is a file that a client has open.
type writing struct {
	*os.File
	server *SFTPServer
	path   string
}

// WriteAt implements io.WriterAt.
func (w *writing) WriteAt(p []byte, offset int64) (int, error) {
	if _, err := w.server.ask("write", w.path); err != nil {
		return 0, err
	}
	return w.File.WriteAt(p, offset)
}

// Close implements io.Closer.
func (w *writing) Close() error {
	_, err := w.server.ask("close", w.path)
	return errors.Join(w.File.Close(), err)
}

// Filecmd implements sftp.FileCmder.
func (s *SFTPServer) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Rename":
		return s.rename(r, false)
	case "Remove", "Rmdir":
		file, err := s.ask("remove", r.Filepath)
		if err != nil {
			return err
		}
		return s.made("remove", file, os.Remove(file))
	case "Mkdir":
		file, err := s.ask("mkdir", r.Filepath)
		if err != nil {
			return err
		}
		return os.Mkdir(file, 0o700)
	case "Setstat":
		file, err := s.ask("setstat", r.Filepath)
		if err != nil {
			return err
		}
		if r.AttrFlags().Permissions {
			return os.Chmod(file, r.Attributes().FileMode().Perm())
		}
		return nil
	default:
		return sftp.ErrSSHFxOpUnsupported
	}
}

// PosixRename implements sftp.PosixRenameFileCmder.
func (s *SFTPServer) PosixRename(r *sftp.Request) error { return s.rename(r, true) }

// rename does not replace, as SFTP version 3 has it, unless it is told to.
func (s *SFTPServer) rename(r *sftp.Request, replace bool) error {
	from, err := s.ask("rename", r.Filepath)
	if err != nil {
		return err
	}
	to := path.Clean(r.Target)
	if !strings.HasPrefix(to, s.root+"/") {
		return sftp.ErrSSHFxPermissionDenied
	}
	s.renaming.Lock()
	defer s.renaming.Unlock()
	if _, err := os.Lstat(to); err == nil && !replace {
		return fmt.Errorf("rename: %w", fs.ErrExist)
	}
	return s.made("rename", from, os.Rename(from, to))
}

// Filelist implements sftp.FileLister.
func (s *SFTPServer) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	name := "stat"
	if r.Method == "List" {
		name = "list"
	}
	file, err := s.ask(name, r.Filepath)
	if err != nil {
		return nil, err
	}
	if r.Method == "Stat" {
		info, err := os.Stat(file)
		return infos{info}, err
	}
	if r.Method != "List" {
		return nil, sftp.ErrSSHFxOpUnsupported
	}
	entries, err := os.ReadDir(file)
	var found infos
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			found = append(found, info)
		}
	}
	return found, err
}

// infos implements sftp.ListerAt.
type infos []fs.FileInfo

// ListAt implements sftp.ListerAt.
func (i infos) ListAt(into []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(i)) {
		return 0, io.EOF
	}
	n := copy(into, i[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}
