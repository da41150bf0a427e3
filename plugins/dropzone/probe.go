package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/orderport/orderport/sdk"
)

// TestConnection goes the way of an order with a file of its own: it writes,
// renames, reads back and deletes. It opens a session of its own, so that it
// tests the credentials and not a session that is open already, and it offers
// them once.
func (c *connector) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	steps := sdk.NewSteps(ctx)
	p := &probe{connector: c, steps: steps}
	defer p.close()
	p.run(req.Connection)
	return steps.Result()
}

// probe is one TestConnection.
type probe struct {
	connector *connector
	steps     *sdk.Steps
	cfg       config
	dir       place
	target    target
	pool      *pool  // of the one session; nil in mode filesystem
	abandon   func() // ends a handshake that nobody waits for; nil: there is none
}

func (p *probe) run(conn sdk.Connection) {
	var d *dialer
	ok := p.steps.Run("config", func(context.Context) (string, error) {
		var err error
		if p.cfg, err = decodeConfig(conn); err != nil {
			return "", err
		}
		p.dir = place{"export_path", p.cfg.ExportPath}
		if p.cfg.Mode == modeSFTP {
			d, err = newDialer(p.cfg)
		}
		return "mode " + p.cfg.Mode, err
	})
	if !ok {
		return
	}
	if p.cfg.Mode == modeSFTP {
		if !p.login(d) {
			return
		}
		p.target = newSFTPTarget(p.cfg, p.pool)
	} else {
		p.target = newFilesystem(p.cfg, &p.connector.rounds)
	}
	p.steps.Run("directory", p.directory)
	p.files()
	if p.cfg.AckPath != "" {
		p.steps.Run("ack_directory", p.ackDirectory)
	}
}

func (p *probe) close() {
	if p.pool != nil {
		p.pool.retire()
	} else if p.abandon != nil {
		go p.abandon()
	}
}

// login runs the three steps of an SSH handshake. The verdict on the host key
// comes from the middle of it.
func (p *probe) login(d *dialer) bool {
	var conn net.Conn
	ok := p.steps.Run("connect", func(ctx context.Context) (message string, err error) {
		conn, err = d.connect(ctx)
		return "connected to " + p.cfg.address(), err
	})
	if !ok {
		return false
	}
	verdict := make(chan error, 1)
	done := make(chan error, 1)
	var s *session
	p.abandon = func() { _ = conn.Close() }
	p.steps.Run("host_key", func(ctx context.Context) (string, error) {
		p.abandon = func() {
			if <-done == nil {
				s.close()
			}
		}
		go func() {
			var err error
			s, err = d.handshake(ctx, conn, func(err error) { verdict <- err })
			done <- err
		}()
		select {
		case err := <-verdict:
			if p.cfg.InsecureIgnoreHostKey && p.cfg.HostKey == "" {
				return "not checked: insecure_ignore_host_key is set, so anybody could pose as the server", err
			}
			return "the server has the pinned host key", err
		case <-ctx.Done():
			return "", unreachable(p.cfg, ctx.Err())
		}
	})
	p.steps.Run("authenticate", func(context.Context) (string, error) {
		p.abandon = nil
		if err := <-done; err != nil {
			return "", err
		}
		p.pool = &pool{dialer: d, max: 1, sessions: []*session{s}}
		return fmt.Sprintf("logged in as %s; the server is %s", p.cfg.Username, serverName(s.ssh)), nil
	})
	return p.steps.Err() == nil
}

func serverName(client *ssh.Client) string { return fmt.Sprintf("%.60q", client.ServerVersion()) }

func (p *probe) directory(ctx context.Context) (string, error) {
	return "found " + p.dir.path, p.dir.findDir(ctx, p.target)
}

// files runs the steps on the test file, and removes it whatever happens.
func (p *probe) files() {
	// Tests of one target at the same moment must not meet.
	stamp := p.connector.now().UTC().Format(probeTime)
	final := p.dir.join(probePrefix + stamp + ".json")
	tmp := final + ".tmp"
	data := []byte(fmt.Sprintf("{\"test_connection\":%q}\n", stamp))
	current := tmp
	deleted := false
	defer func() {
		if !deleted && p.target != nil {
			p.cleanUp(tmp, final)
		}
	}()
	if !p.steps.Run("write", func(ctx context.Context) (string, error) {
		err := p.target.Create(ctx, tmp, data)
		if err == nil {
			err = p.target.Flush(ctx, p.dir.path)
		}
		return "wrote and flushed a test file", p.dir.failure("write a test file", err)
	}) {
		return
	}
	if p.cfg.AtomicWrite && !p.steps.Run("rename", func(ctx context.Context) (string, error) {
		current = final
		return "renamed it", p.dir.failure("rename the test file", p.target.Rename(ctx, tmp, final))
	}) {
		return
	}
	p.steps.Run("read_back", func(ctx context.Context) (string, error) {
		got, err := p.target.Read(ctx, current, int64(len(data))+1)
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("it holds something else than was written")
		}
		return "read back what was written", p.dir.failure("read the test file", err)
	})
	deleted = p.steps.Run("delete", func(ctx context.Context) (string, error) {
		p.removeAbandoned(ctx, p.dir)
		return "deleted it", p.dir.failure("delete the test file", p.target.Remove(ctx, current))
	})
}

// Names of test files, and how old one must be to be nobody's any more: no test
// may take as long.
const (
	probePrefix    = "test_connection_"
	probeTime      = "20060102T150405.000000000Z"
	probeAbandoned = 15 * time.Minute
)

// removeAbandoned removes the test files of tests that were killed.
func (p *probe) removeAbandoned(ctx context.Context, dir place) {
	files, err := p.target.List(ctx, dir.path)
	if err != nil {
		return // the next test tries again
	}
	for _, file := range files {
		stamp, ok := strings.CutPrefix(file.Name(), probePrefix)
		at, err := time.Parse(probeTime, strings.TrimSuffix(strings.TrimSuffix(stamp, ".tmp"), ".json"))
		if ok && err == nil && p.connector.now().Sub(at) > probeAbandoned {
			_ = p.target.Remove(ctx, dir.join(file.Name())) // likewise
		}
	}
}

func (p *probe) cleanUp(names ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTime)
	defer cancel()
	for _, name := range names {
		_ = p.target.Remove(ctx, name)
	}
}

// ackDirectory checks that acks can be listed and moved. Moving takes the same
// right as making and deleting a file.
func (p *probe) ackDirectory(ctx context.Context) (string, error) {
	dir := place{"ack_path", p.cfg.AckPath}
	files, err := listAcks(ctx, p.target, dir)
	if err != nil {
		return "", err
	}
	p.removeAbandoned(ctx, dir)
	name := dir.join(probePrefix + p.connector.now().UTC().Format(probeTime) + ".json.tmp")
	err = p.target.Create(ctx, name, nil)
	if err == nil {
		err = p.target.Remove(ctx, name)
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", caused(err, sdk.PermissionDenied, "ack_path %q: settled acks can't be moved: let the user create, rename and delete files there", dir.path)
	}
	return fmt.Sprintf("found %s with %d acks waiting", dir.path, len(files)), dir.failure("write a test file", err)
}
