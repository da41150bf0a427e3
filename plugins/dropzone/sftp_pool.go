package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/orderport/orderport/sdk"
)

const (
	// idleAfter is how long a session stays open without work.
	idleAfter = 60 * time.Second
	// aliveEvery is how often a session is checked for a dead server.
	aliveEvery = 15 * time.Second
	// refusalHolds is how long a server's refusal of the credentials or a
	// wrong host key answers for the next callers, so that a burst of exports
	// with a wrong password does not lock the account.
	refusalHolds = 5 * time.Second
	// minBytesPerSecond is how slow an upload may be and still count as alive.
	minBytesPerSecond = 64 << 10
	// listing, as the size of a request, says that it takes many answers.
	listing = -1
)

// session is one SSH connection with one SFTP channel. Many requests may be
// under way in it; the server answers them one after the other.
type session struct {
	ssh     *ssh.Client
	files   *sftp.Client
	timeout time.Duration
	// fsync says that the server flushes files when asked to.
	fsync bool
	// guarded says that the server is known to refuse a plain rename onto an
	// existing file without a gap in which the file could appear unnoticed.
	guarded bool
	gone    chan struct{} // closed once the connection has ended

	load      int       // requests under way; guarded by pool.mu
	idleSince time.Time // guarded by pool.mu
}

func newSession(client *ssh.Client, files *sftp.Client, timeout time.Duration) *session {
	server := string(client.ServerVersion())
	version, fsync := files.HasExtension("fsync@openssh.com")
	s := &session{
		ssh: client, files: files, timeout: timeout,
		fsync:   fsync && version == "1",
		guarded: strings.Contains(server, "OpenSSH") || strings.Contains(server, "mod_sftp"),
		gone:    make(chan struct{}),
	}
	go func() {
		_ = client.Wait()
		close(s.gone)
	}()
	return s
}

// close ends the connection; requests under way fail.
func (s *session) close() { _ = s.ssh.Close() }

// do runs a request, or a few that belong together. It stops waiting when the
// context ends; the request may then still be carried out. A server that does
// not answer within timeout_seconds, plus what size bytes need, loses the
// session. A listing takes as many answers as the directory is long: there the
// server only has to be alive.
func (s *session) do(ctx context.Context, size int, request func(*sftp.Client) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- request(s.files) }()
	limit := time.NewTimer(s.timeout + time.Duration(max(0, size))*time.Second/minBytesPerSecond)
	defer limit.Stop()
	for {
		select {
		case err := <-done:
			err = remote(err)
			if errors.Is(err, errLost) {
				s.close()
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			if size == listing && s.alive() {
				limit.Reset(s.timeout)
				continue
			}
			s.close()
			return errSlow
		}
	}
}

// alive asks the server for an answer, whatever it says.
func (s *session) alive() bool {
	answered := make(chan error, 1)
	go func() {
		_, _, err := s.ssh.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
	}()
	limit := time.NewTimer(s.timeout)
	defer limit.Stop()
	select {
	case err := <-answered:
		return err == nil
	case <-limit.C:
		return false
	}
}

// pool keeps the sessions of one connection config.
type pool struct {
	dialer *dialer
	max    int
	rounds rounds // in which directories are flushed
	// noDirFlush is set once the server has refused to flush a directory.
	noDirFlush atomic.Bool

	mu       sync.Mutex
	sessions []*session // guarded by mu
	flight   *flight    // guarded by mu; the dial under way, one at a time
	retired  bool       // guarded by mu; no session outlives its requests
	refusal  error      // guarded by mu; why the server let nobody in
	until    time.Time  // guarded by mu; how long refusal holds
}

// flight is a dial that several callers may wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

func newPool(cfg config) (*pool, error) {
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	p := &pool{dialer: d, max: cfg.MaxSessions}
	p.rounds.flushDir = p.flushDir
	return p, nil
}

// acquire returns the session with the fewest requests. Another one is opened
// when all are busy and there may be more; only the first is waited for, so
// refused credentials are tried once however many exports wait.
func (p *pool) acquire(ctx context.Context) (*session, error) {
	for {
		s, f, err := p.take()
		if s != nil || err != nil {
			return s, err
		}
		select {
		case <-f.done:
			if f.err != nil {
				return nil, f.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns a session, or the dial to wait for, or the standing refusal.
func (p *pool) take() (*session, *flight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *session
	for _, s := range p.sessions {
		if best == nil || s.load < best.load {
			best = s
		}
	}
	if best == nil && time.Now().Before(p.until) {
		return nil, nil, p.refusal
	}
	if (best == nil || best.load > 0 && len(p.sessions) < p.max && time.Now().After(p.until)) && p.flight == nil {
		p.flight = &flight{done: make(chan struct{})}
		go p.open(p.flight)
	}
	if best == nil {
		return nil, p.flight, nil
	}
	best.load++
	return best, nil, nil
}

// open dials without the context of a caller, who may give up while others
// wait; timeout_seconds bounds it.
func (p *pool) open(f *flight) {
	s, err := p.dialer.dial(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight = nil
	f.err = err
	defer close(f.done)
	if err != nil {
		if standing(err) || len(p.sessions) > 0 {
			p.refusal, p.until = err, time.Now().Add(refusalHolds)
		}
		return
	}
	s.idleSince = time.Now()
	p.sessions = append(p.sessions, s)
	go p.watch(s)
}

// standing says that another try at once would end the same.
func standing(err error) bool {
	return errors.Is(err, &sdk.Error{Code: sdk.AuthenticationFailed}) || errors.Is(err, &sdk.Error{Code: sdk.HostKeyMismatch})
}

func (p *pool) release(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.load--
	s.idleSince = time.Now()
	if p.retired && s.load == 0 {
		s.close()
	}
}

// watch owns a session's end: it drops one that is idle, dead or closed.
func (p *pool) watch(s *session) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.gone:
			p.remove(s)
			return
		case <-tick.C:
			if p.idle(s) || !s.alive() {
				s.close()
			}
		}
	}
}

func (p *pool) idle(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.load == 0 && time.Since(s.idleSince) > idleAfter
}

func (p *pool) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.sessions {
		if other == s {
			p.sessions = append(p.sessions[:i], p.sessions[i+1:]...)
			return
		}
	}
}

// retire lets the requests under way end and closes everything after them.
func (p *pool) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for _, s := range p.sessions {
		if s.load == 0 {
			s.close()
		}
	}
}

// quiet says that the pool holds nothing.
func (p *pool) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions) == 0 && p.flight == nil && time.Now().After(p.until)
}

// pools keeps one pool for each connection and config. The zero value is
// ready.
type pools struct {
	mu      sync.Mutex
	entries map[poolKey]*pool // guarded by mu
}

type poolKey struct{ connection, config string }

// get returns the connection's pool. A pool of an earlier config of the same
// connection is retired: its credentials are not used again.
func (p *pools) get(conn sdk.Connection, cfg config) (*pool, error) {
	key := poolKey{conn.ID, conn.ConfigKey()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.entries[key]; found != nil {
		return found, nil
	}
	fresh, err := newPool(cfg)
	if err != nil {
		return nil, err
	}
	for other, entry := range p.entries {
		if other.connection == conn.ID {
			entry.retire()
			delete(p.entries, other)
		} else if entry.quiet() {
			delete(p.entries, other)
		}
	}
	if p.entries == nil {
		p.entries = make(map[poolKey]*pool)
	}
	p.entries[key] = fresh
	return fresh, nil
}
