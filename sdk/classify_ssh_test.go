package sdk_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/port"
)

func sshKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestErrorsOfRealSSHServersGetTheirCode keeps the texts that ofSSH looks for
// true of the library that has no types for them.
func TestErrorsOfRealSSHServersGetTheirCode(t *testing.T) {
	t.Parallel()
	hostKey, otherKey := sshKey(t), sshKey(t)
	server := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) == "right" {
			return nil, nil
		}
		return nil, errors.New("refused")
	}}
	server.AddHostKey(hostKey)
	address := serving(t, func(conn net.Conn) {
		if c, channels, requests, err := ssh.NewServerConn(conn, server); err == nil {
			go ssh.DiscardRequests(requests)
			for channel := range channels {
				_ = channel.Reject(ssh.Prohibited, "administratively prohibited")
			}
			_ = c.Close()
		}
	})
	hangup := serving(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) })
	dial := func(address, password string, key ssh.HostKeyCallback, change func(*ssh.ClientConfig)) error {
		config := &ssh.ClientConfig{User: "u", Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: key}
		if change != nil {
			change(config)
		}
		client, err := ssh.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		defer client.Close()
		_, err = client.NewSession()
		return err
	}
	fixed := ssh.FixedHostKey(hostKey.PublicKey())
	mismatch := func(string, net.Addr, ssh.PublicKey) error {
		return &knownhosts.KeyError{Want: []knownhosts.KnownKey{{Key: otherKey.PublicKey()}}}
	}
	unknown := func(string, net.Addr, ssh.PublicKey) error { return &knownhosts.KeyError{} }
	for name, c := range map[string]struct {
		err  error
		want port.Code
	}{
		"a refused password":   {dial(address, "wrong", fixed, nil), port.AuthenticationFailed},
		"a refused session":    {dial(address, "right", fixed, nil), port.PermissionDenied},
		"not the fixed key":    {dial(address, "right", ssh.FixedHostKey(otherKey.PublicKey()), nil), port.HostKeyMismatch},
		"another known key":    {dial(address, "right", mismatch, nil), port.HostKeyMismatch},
		"no known key":         {dial(address, "right", unknown, nil), port.HostKeyMismatch},
		"nothing in common":    {dial(address, "right", fixed, func(c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{ssh.KeyAlgoRSASHA256} }), port.Unreachable},
		"a server that is off": {dial("127.0.0.1:1", "right", fixed, nil), port.Unreachable},
		"a server that leaves": {dial(hangup, "right", fixed, nil), port.Unreachable},
	} {
		if c.err == nil || sdk.CodeOf(c.err) != c.want {
			t.Errorf("%s: %s, want %s: %v", name, sdk.CodeOf(c.err), c.want, c.err)
		}
	}
}
