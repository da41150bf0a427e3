package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/orderport/orderport/sdk"
)

// dialer opens sessions as one config says. It is safe for concurrent use.
type dialer struct {
	cfg    config
	pinned hostKeys
	signer ssh.Signer // nil: the config has no private key
}

func newDialer(cfg config) (*dialer, error) {
	pinned, err := parseHostKeys(cfg)
	if err != nil {
		return nil, err
	}
	d := &dialer{cfg: cfg, pinned: pinned}
	if !cfg.PrivateKey.Empty() {
		if d.signer, err = parsePrivateKey(cfg); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// parsePrivateKey never lets the text of the parser's error out, which might
// quote the key.
func parsePrivateKey(cfg config) (ssh.Signer, error) {
	pem := []byte(cfg.PrivateKey.Reveal())
	var signer ssh.Signer
	var err error
	if cfg.Passphrase.Empty() {
		signer, err = ssh.ParsePrivateKey(pem)
	} else {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(cfg.Passphrase.Reveal()))
	}
	if err == nil {
		return signer, nil
	}
	field, problem := "private_key", "is not a private key in OpenSSH or PEM format"
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing):
		field, problem = "passphrase", "is required: the private key is encrypted"
	case !cfg.Passphrase.Empty():
		field, problem = "passphrase", "does not open the private key"
	}
	e := &sdk.Error{Code: sdk.InvalidConfig, Message: field + " " + problem}
	e.Violations = []sdk.Violation{{Path: field, Message: problem}}
	return nil, e
}

// connect opens the TCP connection.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.timeout())
	defer cancel()
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, "tcp", d.cfg.address())
	if err != nil {
		return nil, unreachable(d.cfg, err)
	}
	return conn, nil
}

// dial opens a session.
func (d *dialer) dial(ctx context.Context) (*session, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	return d.handshake(ctx, conn, func(error) {})
}

// handshake makes a session of a connection, which it takes over. It calls
// verified with the verdict on the host key, once, before it sends any
// credentials.
func (d *dialer) handshake(ctx context.Context, conn net.Conn, verified func(error)) (*session, error) {
	check := &hostKeyCheck{pinned: d.pinned}
	report := verified
	var once sync.Once // keys are exchanged, and the host key is checked, again later
	verified = func(err error) { once.Do(func() { report(err) }) }
	for {
		algorithms, ok := check.next()
		if !ok {
			err := check.mismatch(d.cfg.address())
			verified(err)
			return nil, err
		}
		s, err := d.attempt(ctx, conn, check, algorithms, verified)
		var mismatch *ssh.AlgorithmNegotiationError
		switch {
		case err == nil:
			return s, nil
		case errors.As(err, &mismatch): // on the host key, see handshakeFailure
			err = check.mismatch(d.cfg.address())
			verified(err)
			return nil, err
		case !errors.Is(err, errHostKey):
			return nil, err
		}
		// The refused handshake has used the connection up.
		if conn, err = d.connect(ctx); err != nil {
			verified(err)
			return nil, err
		}
	}
}

// attempt is one handshake, bounded by timeout_seconds and the context.
func (d *dialer) attempt(ctx context.Context, conn net.Conn, check *hostKeyCheck, algorithms []string, verified func(error)) (*session, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(d.cfg.timeout()))
	known := false
	creds := &credentials{}
	clientConfig := &ssh.ClientConfig{
		User:              d.cfg.Username,
		Auth:              creds.methods(d),
		HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(host string, addr net.Addr, key ssh.PublicKey) error {
			err := check.check(host, addr, key)
			if err == nil {
				known = true
				verified(nil)
			}
			return err
		},
	}
	c, channels, requests, err := ssh.NewClientConn(conn, d.cfg.address(), clientConfig)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, d.handshakeFailure(err, known, creds, verified)
	}
	client := ssh.NewClient(c, channels, requests)
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		_ = client.Close()
		return nil, caused(err, sdk.Unreachable, "the server at %s lets the user in, but offers no SFTP: check that the account may use it", d.cfg.address())
	}
	_ = conn.SetDeadline(time.Time{})
	return newSession(client, files, d.cfg.timeout()), nil
}

func (d *dialer) handshakeFailure(err error, known bool, creds *credentials, verified func(error)) error {
	var algorithms *ssh.AlgorithmNegotiationError
	switch {
	case errors.Is(err, errHostKey):
		return err
	case errors.As(err, &algorithms):
		if algorithms.What == "host key" {
			return err // the caller knows which keys it asked for
		}
		err = sdk.Errorf(sdk.Unreachable, "the server at %s has no algorithm in common with this connector: %v", d.cfg.address(), err)
		verified(err)
		return err
	case known && creds.refused(err):
		return caused(err, sdk.AuthenticationFailed,
			"the server at %s refused %s of user %q: check username and credentials, and that the account is not locked",
			d.cfg.address(), creds.tried(d), d.cfg.Username)
	}
	err = unreachable(d.cfg, fmt.Errorf("handshake: %w", err))
	if !known {
		verified(err)
	}
	return err
}

// credentials hands out each secret at most once in a handshake, so that a
// server which offers the password by two methods counts one failure.
type credentials struct{ password, key bool }

func (c *credentials) methods(d *dialer) []ssh.AuthMethod {
	var methods []ssh.AuthMethod
	if d.signer != nil {
		methods = append(methods, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			c.key = true
			return []ssh.Signer{d.signer}, nil
		}))
	}
	if d.cfg.Password.Empty() {
		return methods
	}
	once := func() (string, error) {
		if c.password {
			return "", errors.New("the password has been tried")
		}
		c.password = true
		return d.cfg.Password.Reveal(), nil
	}
	return append(methods,
		ssh.PasswordCallback(once),
		ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			return answer(questions, echos, once)
		}))
}

// answer gives the password to the one hidden question. Other questions, such
// as for a second factor, have no answer in the config.
func answer(questions []string, echos []bool, password func() (string, error)) ([]string, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	if len(questions) > 1 || echos[0] {
		return nil, errors.New("the server asks for more than a password")
	}
	secret, err := password()
	return []string{secret}, err
}

// refusedUnasked is in the SSH library's error when a server refuses
// keyboard-interactive without asking anything (51: SSH_MSG_USERAUTH_FAILURE;
// 60: the question), as OpenSSH does without PAM.
const refusedUnasked = "unexpected message type 51 (expected 60)"

// refused says whether a failed handshake failed on the credentials. A server
// that has had enough of them may end the connection instead of saying so.
func (c *credentials) refused(err error) bool {
	if strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), refusedUnasked) {
		return true
	}
	var timeout net.Error
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) {
		return false
	}
	return (c.password || c.key) && strings.Contains(err.Error(), "disconnect, reason")
}

func (c *credentials) tried(d *dialer) string {
	switch {
	case c.password && c.key:
		return "the private key and the password"
	case c.password:
		return "the password"
	case d.signer != nil:
		return "the private key"
	default:
		return "the password (it does not take one)"
	}
}
