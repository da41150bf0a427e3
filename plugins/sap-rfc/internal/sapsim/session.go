package sapsim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Row is the fields of a structure by name. A CHAR has no blanks at its end, a
// NUMC all its digits, a date is YYYYMMDD; what is absent is initial.
type Row map[string]string

// Parameters are those of a call, or of its answer.
type Parameters struct {
	Values     map[string]string
	Structures map[string]Row
	// Tables that are not named do not come back either.
	Tables map[string][]Row
}

// Logon is who wants a session.
type Logon struct {
	Client, User, Password string
	// Language is an ISO code or SAP's letter.
	Language string
}

// Errors of a session that is gone.
var (
	// ErrDropped: the connection is cut, without an answer.
	ErrDropped = errors.New("the connection was dropped")
	// ErrBusy: another call of the session is under way.
	ErrBusy = errors.New("the session is busy")
)

// Session is one ABAP session: it holds a unit of work and its locks. It runs
// one call at a time.
type Session struct {
	system   *System
	user     *userData
	language string // SAP's letter
	done     chan struct{}
	killed   chan struct{}

	mu      sync.Mutex
	running bool // guarded by mu
	closed  bool // guarded by mu

	work []*Document // of the running call; otherwise guarded by mu
	name string      // of the running call
	sent Parameters  // of the running call, as it came
}

// Logon opens a session. A failure is a *Failure or ErrDropped. It does not
// return before ctx ends if a fault makes it hang.
func (s *System) Logon(ctx context.Context, l Logon) (*Session, error) {
	if err := s.meet(ctx, LogonStep, Before); err != nil {
		return nil, err
	}
	session, err := s.logon(l)
	if err != nil {
		return nil, err
	}
	if err := s.meet(ctx, LogonStep, After); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

func (s *System) logon(l Logon) (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, ErrDropped
	}
	u := s.users[strings.ToUpper(l.User)]
	if u == nil || l.Client != s.options.Client {
		return nil, logonFailure("Name or password is incorrect (repeat logon)")
	}
	u.tries++
	if u.Password != l.Password {
		if u.wrong++; u.wrong >= s.options.LockAfter {
			u.Locked = true
		}
		return nil, logonFailure("Name or password is incorrect (repeat logon)")
	}
	if u.Locked {
		return nil, logonFailure("User is locked. Please notify the person responsible")
	}
	u.wrong = 0
	if s.options.MaxSessions > 0 && len(s.sessions) >= s.options.MaxSessions {
		return nil, &Failure{Kind: Communication, Key: "RFC_COMMUNICATION_FAILURE", Message: "max no of conversations exceeded"}
	}
	session := &Session{system: s, user: u, language: languageKey(l.Language), done: make(chan struct{}), killed: make(chan struct{})}
	s.sessions[session] = true
	s.logons++
	return session, nil
}

// languageKey is SAP's letter of a language.
func languageKey(language string) string {
	switch strings.ToUpper(language) {
	case "DE", "D":
		return "D"
	default:
		return "E"
	}
}

// Call runs a function module. If ctx ends first, its error is returned and
// the client is taken for gone: the function runs to its end all the same, and
// what it leaves uncommitted is lost with the session.
//
// Other errors are a *Failure, which says whether the session has ended with
// it, or ErrDropped.
func (s *Session) Call(ctx context.Context, function string, in Parameters) (Parameters, error) {
	if err := s.begin(); err != nil {
		return Parameters{}, err
	}
	type result struct {
		out Parameters
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := s.run(function, in)
		s.end(err)
		ended <- result{out, err}
	}()
	select {
	case r := <-ended:
		return r.out, r.err
	case <-ctx.Done():
		s.Close()
		return Parameters{}, ctx.Err()
	case <-s.killed:
		return Parameters{}, ErrDropped
	}
}

func (s *Session) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrDropped
	case s.running:
		return ErrBusy
	}
	s.running = true
	s.system.underWay(1)
	return nil
}

func (s *Session) end(err error) {
	var failure *Failure
	if errors.Is(err, ErrDropped) || errors.As(err, &failure) && failure.Ends() {
		s.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if s.closed {
		s.rollBack()
	}
	s.system.underWay(-1)
}

// run carries a call out, on the server.
func (s *Session) run(name string, in Parameters) (Parameters, error) {
	f, err := s.find(name)
	if err != nil {
		return Parameters{}, err
	}
	s.name, s.sent = name, in
	if in, err = f.check(in, s.system.Quirks()); err != nil {
		return Parameters{}, err
	}
	if err := s.system.meet(context.Background(), name, Before); err != nil {
		return Parameters{}, err
	}
	s.system.count(name)
	out, err := f.body(s, in)
	if err != nil {
		return Parameters{}, err
	}
	out = f.complete(out, in, s.system.Quirks())
	if err := s.system.meet(context.Background(), name, After); err != nil {
		return Parameters{}, err
	}
	return out, nil
}

func (s *System) count(function string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[function]++
}

// find returns a function that the user may call.
func (s *Session) find(name string) (*Function, error) {
	f := s.system.function(name)
	switch {
	case f == nil:
		return nil, &Failure{
			Kind: Exception, Key: "FU_NOT_FOUND", Message: "ID:FL Type:E Number:046 " + name,
			ID: "FL", Type: "E", Number: "046", Variables: [4]string{name},
		}
	case slices.Contains(s.user.Denied, name):
		return nil, s.noAuthority("no RFC authorization for function module " + name)
	}
	return f, nil
}

func (s *Session) noAuthority(what string) error {
	f := &Failure{Kind: Dump, Key: "RFC_NO_AUTHORITY", Message: "User " + s.user.Name + " has " + what}
	if s.system.Quirks().AuthorityByCode {
		f.Kind = Authority
	}
	return f
}

// Function describes a function module, as the repository's own functions do.
// The user needs a right of its own for them.
func (s *Session) Function(ctx context.Context, name string) (*Function, error) {
	if err := s.system.meet(ctx, DescribeStep, Before); err != nil {
		return nil, err
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrDropped
	}
	if s.user.DenyMetadata {
		return nil, s.noAuthority("no RFC authorization for function group RFC_METADATA")
	}
	f := s.system.function(name)
	if f == nil {
		_, err := s.find(name)
		return nil, err
	}
	return f, s.system.meet(ctx, DescribeStep, After)
}

// Reset is RfcResetServerContext: the session is as after its logon.
func (s *Session) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrDropped
	}
	if s.running {
		return ErrBusy
	}
	s.rollBack()
	return nil
}

// Done is closed when the session has ended, from whichever side.
func (s *Session) Done() <-chan struct{} { return s.done }

// System returns the session's system.
func (s *Session) System() *System { return s.system }

// User returns the session's user.
func (s *Session) User() string { return s.user.Name }

// Close ends the session: work that was not committed is lost, once a call
// that is still running has come to its end.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.done)
	if !s.running {
		s.rollBack()
	}
	s.system.mu.Lock()
	delete(s.system.sessions, s)
	s.system.mu.Unlock()
}

func (s *Session) kill() {
	s.mu.Lock()
	if !s.closed {
		close(s.killed)
	}
	s.mu.Unlock()
	s.Close()
}

// rollBack drops the unit of work and the locks. No call is running, or it is
// the caller.
func (s *Session) rollBack() {
	s.work = nil
	s.system.mu.Lock()
	defer s.system.mu.Unlock()
	maps.DeleteFunc(s.system.locks, func(_ string, l lock) bool { return l.session == s })
}

// Identity is what a system says of itself.
type Identity struct{ SystemID, Client, Host, Release string }

// Identity returns what the system says of itself.
func (s *System) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Identity{s.options.SystemID, s.options.Client, s.options.Host, s.options.Release.Name}
}
