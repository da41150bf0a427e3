package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/port"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// sftpTarget is an SFTP server of this program, behind a proxy.
type sftpTarget struct {
	*folders
	server *SFTPServer
	proxy  *sshtest.Proxy
}

func newSFTP(p profile.Profile) (*sftpTarget, error) {
	f, err := newFolders(p)
	if err != nil {
		return nil, err
	}
	t := &sftpTarget{folders: f}
	if t.server, err = StartSFTPServer(f.root); err == nil {
		t.proxy, err = sshtest.StartProxy(t.server.Addr)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Proxy implements Network.
func (t *sftpTarget) Proxy() *sshtest.Proxy { return t.proxy }

// SFTP implements Server.
func (t *sftpTarget) SFTP() *SFTPServer { return t.server }

// Vars implements Target.
func (t *sftpTarget) Vars() map[string]any {
	return map[string]any{
		"host": "127.0.0.1", "port": t.proxy.Port, "user": t.server.User, "password": t.server.Password,
		"host_key": knownHost(t.proxy.Port, t.server.KeyLine()), "fingerprint": t.server.Fingerprint(),
		"dir": t.OrdersDir(), "ack_dir": t.AckDir(), "canary": Canary(),
	}
}

// knownHost makes a line of a known_hosts file.
func knownHost(port int, key string) string { return fmt.Sprintf("[127.0.0.1]:%d %s", port, key) }

// Cases implements Target.
func (t *sftpTarget) Cases() []Case {
	cases := append(t.cases(), networkCases(t.proxy)...)
	cases = append(cases, identityCase(t.proxy.Port),
		Case{
			Name: "wrong password", Vars: map[string]any{"password": Canary()},
			Codes: []port.Code{port.AuthenticationFailed}, Login: true,
		},
		t.failing("directory closed for writing", os.ErrPermission, port.PermissionDenied),
		t.failing("disk full", syscall.ENOSPC, port.Throttled),
	)
	return cases
}

// failing is a server whose operations that change something fail.
func (t *sftpTarget) failing(name string, err error, code port.Code) Case {
	return Case{
		Name: name, Codes: []port.Code{code},
		Break: func() (func(), error) {
			t.server.OnOperation(func(op Operation) error {
				switch op.Name {
				case "create", "write", "mkdir", "rename":
					return err
				default:
					return nil
				}
			})
			return func() { t.server.OnOperation(nil) }, nil
		},
	}
}

// networkCases are the ways in which what is behind a proxy can't be reached.
func networkCases(proxy *sshtest.Proxy) []Case {
	return []Case{
		{
			Name: "unknown host", Vars: map[string]any{"host": "no-such-host.invalid"},
			Codes: []port.Code{port.Unreachable, port.NotFound, port.InvalidConfig},
		},
		{
			Name: "refused port", Vars: map[string]any{"port": closedPort()},
			Codes: []port.Code{port.Unreachable},
		},
		{
			Name: "connections are reset",
			Break: func() (func(), error) {
				proxy.Refuse(true)
				proxy.Cut()
				return func() { proxy.Refuse(false) }, nil
			},
			Codes: []port.Code{port.Unreachable},
		},
		{
			Name: "no answer",
			Break: func() (func(), error) {
				proxy.Blackhole(true)
				return func() { proxy.Blackhole(false) }, nil
			},
			Codes: []port.Code{port.Timeout, port.Unreachable}, Silent: true,
		},
	}
}

// closedPort returns a port that nobody listens on.
func closedPort() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// identityCase is a config that names another server's key.
func identityCase(number int) Case {
	key, fingerprint := anotherKey()
	return Case{
		Name:  "wrong host key",
		Vars:  map[string]any{"host_key": knownHost(number, key), "fingerprint": fingerprint},
		Codes: []port.Code{port.HostKeyMismatch},
	}
}

// Close implements Target.
func (t *sftpTarget) Close() error {
	if t.proxy != nil {
		t.proxy.Close()
	}
	if t.server != nil {
		t.server.OnOperation(nil)
		t.server.Close()
	}
	t.remove()
	return nil
}

// openSSH is an sshd behind a proxy.
type openSSH struct {
	*folders
	server *sshtest.Server
	proxy  *sshtest.Proxy
}

func newOpenSSH(ctx context.Context, p profile.Profile) (*openSSH, error) {
	f, err := newFolders(p)
	if err != nil {
		return nil, err
	}
	t := &openSSH{folders: f}
	binary := cmp.Or(p.Target.Sshd, os.Getenv(sshtest.OpenSSH.Env()), "/usr/sbin/sshd")
	if t.server, err = sshtest.Start(ctx, sshtest.Options{Binary: binary, Root: f.root}); err == nil {
		t.proxy, err = sshtest.StartProxy(t.server.Addr)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Proxy implements Network.
func (t *openSSH) Proxy() *sshtest.Proxy { return t.proxy }

// Vars implements Target.
func (t *openSSH) Vars() map[string]any {
	return map[string]any{
		"host": "127.0.0.1", "port": t.proxy.Port, "user": t.server.User, "private_key": t.server.PrivateKey,
		"host_key": knownHost(t.proxy.Port, keyOf(t.server.HostKey)), "fingerprint": t.server.Fingerprint,
		"dir": t.OrdersDir(), "ack_dir": t.AckDir(), "canary": Canary(),
	}
}

// Cases implements Target.
func (t *openSSH) Cases() []Case {
	cases := append(t.cases(), networkCases(t.proxy)...)
	return append(cases, identityCase(t.proxy.Port), Case{
		Name: "wrong user", Vars: map[string]any{"user": "nobody-" + strconv.Itoa(os.Getpid())},
		Codes: []port.Code{port.AuthenticationFailed}, Login: true,
	})
}

// Close implements Target.
func (t *openSSH) Close() error {
	if t.proxy != nil {
		t.proxy.Close()
	}
	if t.server != nil {
		_ = t.server.Close()
	}
	t.remove()
	return nil
}
