package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

const (
	// idleAfter is how long a session stays open without work.
	idleAfter = 60 * time.Second
	// patience is how long an attempt waits for a session that is free: the host
	// gives it a minute for everything.
	patience = 20 * time.Second
	// A refused logon is not tried again for a while, since SAP locks a user
	// after a few wrong ones: first for refusalHolds, then for twice as long
	// each time, up to refusalLongest.
	refusalHolds   = time.Minute
	refusalLongest = time.Hour
)

// pool keeps the sessions of one connection config. A session has one user at
// a time.
type pool struct {
	transport rfc.Transport
	timeout   time.Duration
	patience  time.Duration
	now       func() time.Time
	slots     chan struct{} // holds one token for each session in use
	opening   chan struct{} // holds the token of the one logon under way

	mu        sync.Mutex
	idle      []idleSession           // guarded by mu; the one used last is last
	retired   bool                    // guarded by mu; sessions end with their use
	refusal   *rfc.Error              // guarded by mu; why the last logon was refused
	refusals  int                     // guarded by mu; in a row
	until     time.Time               // guarded by mu; how long refusal holds
	systemID  string                  // guarded by mu; "" until it is known
	functions map[string]rfc.Function // guarded by mu
}

type idleSession struct {
	session rfc.Session
	since   time.Time
}

func newPool(transport rfc.Transport, cfg config, now func() time.Time) *pool {
	return &pool{
		transport: transport, timeout: cfg.timeout(), patience: patience, now: now,
		slots: make(chan struct{}, cfg.MaxSessions), opening: make(chan struct{}, 1),
		functions: make(map[string]rfc.Function),
	}
}

// acquire returns a session that has just answered, or was just opened. An
// attempt that would spend its time in the queue for one gives way.
func (p *pool) acquire(ctx context.Context) (rfc.Session, error) {
	queued := time.NewTimer(p.patience)
	defer queued.Stop()
	select {
	case p.slots <- struct{}{}:
	case <-queued.C:
		return nil, later("all %d sessions of the connection are in use: max_sessions allows no more", cap(p.slots))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := p.session(ctx)
	if err != nil {
		<-p.slots
	}
	return s, err
}

func (p *pool) session(ctx context.Context) (rfc.Session, error) {
	for {
		kept, ok := p.take()
		if !ok {
			return p.open(ctx)
		}
		if p.now().Sub(kept.since) < rfc.SessionIdle {
			return kept.session, nil
		}
		asking, cancel := context.WithTimeout(ctx, p.timeout)
		err := kept.session.Ping(asking)
		cancel()
		if err == nil {
			return kept.session, nil
		}
		kept.session.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (p *pool) take() (idleSession, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return idleSession{}, false
	}
	s := p.idle[last]
	p.idle = p.idle[:last]
	return s, true
}

// open logs on, one logon at a time: with a wrong password, the first one's
// refusal answers for all that wait.
func (p *pool) open(ctx context.Context) (rfc.Session, error) {
	select {
	case p.opening <- struct{}{}:
		defer func() { <-p.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := p.standing(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	s, err := p.transport.Open(ctx)
	p.remember(err)
	return s, err
}

// standing returns the refusal that still holds.
func (p *pool) standing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal == nil || !p.now().Before(p.until) {
		return nil
	}
	held := *p.refusal
	held.Message = fmt.Sprintf("%s; not tried again before %s, so that SAP does not lock the user", held.Message, p.until.UTC().Format(time.RFC3339))
	return &held
}

func (p *pool) remember(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var known *rfc.Error
	switch {
	case err == nil:
		p.refusal, p.refusals = nil, 0
	case errors.As(err, &known) && known.Class == rfc.LogonRefused:
		p.refusal = known
		p.until = p.now().Add(min(refusalHolds<<min(p.refusals, 10), refusalLongest))
		p.refusals++
	}
}

// release takes a session back. One that is not clean, or can't be used any
// more, is closed: with it goes
// whatever it has not committed.
func (p *pool) release(s rfc.Session, clean bool) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	keep := clean && !p.retired && s.Usable()
	if keep {
		p.idle = append(p.idle, idleSession{s, p.now()})
		time.AfterFunc(idleAfter, p.sweep)
	}
	p.mu.Unlock()
	if !keep {
		s.Close()
	}
}

// sweep closes the sessions that nobody has used for a while.
func (p *pool) sweep() {
	p.mu.Lock()
	var old []rfc.Session
	for len(p.idle) > 0 && p.now().Sub(p.idle[0].since) >= idleAfter {
		old = append(old, p.idle[0].session)
		p.idle = p.idle[1:]
	}
	p.mu.Unlock()
	for _, s := range old {
		s.Close()
	}
}

// retire lets the sessions in use end and closes the others.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, kept := range idle {
		kept.session.Close()
	}
}

// quiet says that the pool holds nothing.
func (p *pool) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) == 0 && len(p.slots) == 0 && !p.now().Before(p.until)
}

// knownSystem is what system has returned, or "".
func (p *pool) knownSystem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.systemID
}

// system returns the id of the SAP system and client, or the address in the
// config if the user may not ask for it.
func (p *pool) system(ctx context.Context, s rfc.Session, cfg config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	reply, err := s.Call(ctx, rfc.Call{Function: "RFC_SYSTEM_INFO"})
	if err != nil && !mayNotAsk(err) {
		return "", err
	}
	id := reply.Structures["RFCSI_EXPORT"]["RFCSYSID"]
	if id == "" {
		id = cfg.endpoint()
	} else {
		id += " client " + cfg.Client
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.systemID = id
	return id, nil
}

// mayNotAsk says that a function was refused, and will be again. Over SOAP it
// comes as a fault, which tells no more.
func mayNotAsk(err error) bool {
	e := rfc.As(err)
	switch e.Class {
	case rfc.NotAuthorized, rfc.FunctionMissing, rfc.Raised, rfc.Dumped:
		return !e.Broken
	default:
		return false
	}
}

// knownFunction is what function has returned.
func (p *pool) knownFunction(name string) (rfc.Function, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.functions[name]
	return f, ok
}

// function returns the parameters of a function as the system has them.
func (p *pool) function(ctx context.Context, s rfc.Session, name string) (rfc.Function, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	f, err := s.Function(ctx, name)
	if err != nil {
		return rfc.Function{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.functions[name] = f
	return f, nil
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
func (p *pools) get(conn sdk.Connection, open func() (*pool, error)) (*pool, error) {
	key := poolKey{conn.ID, conn.ConfigKey()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.entries[key]; found != nil {
		return found, nil
	}
	fresh, err := open()
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
