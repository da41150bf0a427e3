// Package nwrfc calls function modules through the SAP NetWeaver RFC library,
// which the customer installs. The library is loaded when it is first needed;
// nothing of SAP is needed to build or to start the connector.
//
// One connection handle runs all calls of a session, so they share a unit of
// work, and no handle is ever opened again behind the caller's back. Fields are
// found by name, and their types and lengths come from the system: releases
// differ. Whether the library ties a handle to a thread is not documented, so
// each session keeps one thread for all of its calls.
package nwrfc

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

const (
	// cancelGrace is how long a cancelled call may take to return before the
	// session is given up.
	cancelGrace = 400 * time.Millisecond
	// maxOpening bounds the logons of one Transport that hang: each keeps a
	// thread until the library gives up.
	maxOpening = 8
)

// Transport opens sessions with one set of logon parameters.
type Transport struct {
	libraries  *Libraries
	path       string
	parameters map[string]string
	opening    chan struct{}
}

var _ rfc.Transport = (*Transport)(nil)

// New prepares a Transport. It neither loads the library nor connects.
func New(libraries *Libraries, path string, parameters map[string]string) *Transport {
	return &Transport{libraries: libraries, path: path, parameters: parameters, opening: make(chan struct{}, maxOpening)}
}

// Describe says that calls share a unit of work and that functions are
// described.
func (t *Transport) Describe() rfc.Abilities { return rfc.Abilities{UnitOfWork: true, Metadata: true} }

// Version loads the library and returns its version.
func (t *Transport) Version() (string, error) {
	lib, err := t.libraries.load(t.path)
	if err != nil {
		return "", err
	}
	return lib.version(), nil
}

// Open logs on. The library can't be stopped while it does, so a logon that
// nobody waits for any more goes on by itself and is closed when it succeeds.
func (t *Transport) Open(ctx context.Context) (rfc.Session, error) {
	select {
	case t.opening <- struct{}{}:
	default:
		return nil, rfc.Errorf(rfc.Busy, "%d logons are still waiting for an answer", maxOpening)
	}
	s := &session{jobs: make(chan func(*frame)), quit: make(chan struct{})}
	opened := make(chan error, 1)
	go func() {
		f, err := s.open(t)
		<-t.opening
		opened <- err
		if err == nil {
			s.work(f)
		}
	}()
	select {
	case err := <-opened:
		if err != nil {
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		s.Close()
		return nil, &rfc.Error{Class: rfc.TimedOut, Message: "the logon got no answer", Err: ctx.Err()}
	}
}

// session is one connection handle and the thread that it is used from.
type session struct {
	lib    *library
	jobs   chan func(*frame)
	quit   chan struct{}
	closed sync.Once
	broken atomic.Bool
	failed bool // the thread's own: a call has ended with an error that breaks the session

	mu      sync.Mutex
	handle  uintptr // set ahead of the first job
	calling bool    // guarded by mu: a call is under way and can be cancelled
	givenUp bool    // guarded by mu: no call begins any more
}

// frame is what the calls of a session use in turn.
type frame struct {
	lib       *library
	handle    uintptr
	e         errorInfo
	functions map[string]*description
	names     map[string]*uint16
	buffer    []uint16
}

// open loads the library and opens the connection. The thread that it is called
// on is the session's from then on.
func (s *session) open(t *Transport) (*frame, error) {
	lib, err := t.libraries.load(t.path)
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the session
	f := &frame{lib: lib, functions: make(map[string]*description), names: make(map[string]*uint16)}
	list := make([]parameter, 0, len(t.parameters)+1) // an empty one has an address, too
	for _, name := range slices.Sorted(maps.Keys(t.parameters)) {
		list = append(list, parameter{&uc(name)[0], &uc(t.parameters[name])[0]})
	}
	f.handle = lib.openConnection(unsafe.SliceData(list), uint32(len(list)), &f.e)
	runtime.KeepAlive(list)
	tameSignals()
	if f.handle == 0 {
		return nil, openFailure(&f.e, t.parameters)
	}
	s.lib, s.handle = lib, f.handle
	return f, nil
}

// work runs the jobs, and closes the connection at the end. A connection that has
// failed is left alone: it is closed already, and the value of its handle, an
// address, may belong to another one by now. SAP's own bindings do the same.
func (s *session) work(f *frame) {
	for {
		select {
		case <-s.quit:
			if !s.failed {
				f.lib.closeConnection(f.handle, &f.e)
			}
			return
		case job := <-s.jobs:
			job(f)
		}
	}
}

// openFailure is the error of a logon.
func openFailure(e *errorInfo, parameters map[string]string) error {
	var secrets []string
	for _, name := range []string{"PASSWD", "X509CERT", "MYSAPSSO2"} {
		if value := parameters[name]; value != "" {
			secrets = append(secrets, value)
		}
	}
	f := e.failure(false, secrets...)
	f.Broken = true
	if f.Class == rfc.BadValue {
		f.Class = rfc.Misconfigured
	}
	return f
}

// Usable says that the handle is as good as new, as far as is known here.
func (s *session) Usable() bool { return !s.broken.Load() }

// Close makes the thread close the handle, once it is free.
func (s *session) Close() {
	s.broken.Store(true)
	s.closed.Do(func() { close(s.quit) })
}

// do runs a job on the session's thread and waits for it. When ctx ends, a call
// that is under way is cancelled, and the session is broken.
func (s *session) do(ctx context.Context, job func(*frame) error) error {
	if ctx.Err() != nil {
		return &rfc.Error{Class: rfc.TimedOut, Message: "no time left", Err: ctx.Err()}
	}
	if s.broken.Load() {
		return &rfc.Error{Class: rfc.Other, Broken: true, Message: "the session is closed"}
	}
	done := make(chan error, 1)
	select {
	case s.jobs <- func(f *frame) { done <- s.note(job(f)) }:
	case <-s.quit:
		return &rfc.Error{Class: rfc.Other, Broken: true, Message: "the session is closed"}
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return s.giveUp(ctx, done)
	}
}

// note remembers that an error has broken the session. It runs on the session's
// thread.
func (s *session) note(err error) error {
	if err != nil && rfc.As(err).Broken {
		s.failed = true
		s.broken.Store(true)
	}
	return err
}

// giveUp cancels the call that is under way.
func (s *session) giveUp(ctx context.Context, done <-chan error) error {
	s.broken.Store(true)
	go s.cancel()
	limit := time.NewTimer(cancelGrace)
	defer limit.Stop()
	select {
	case err := <-done:
		if err == nil || !rfc.As(err).Sent {
			return err // it was through, or had not begun
		}
	case <-limit.C:
	}
	return &rfc.Error{Class: rfc.TimedOut, Sent: true, Broken: true, Message: "no answer in time", Err: ctx.Err()}
}

// cancel cancels the call, if one is still under way: the library gives the
// value of a closed handle to the next connection.
func (s *session) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp = true
	if s.calling && s.lib.cancel != nil {
		var e errorInfo
		s.lib.cancel(s.handle, &e)
	}
}

// during runs what may take long and can be cancelled, unless the session has
// been given up already.
func (s *session) during(call func() error) error {
	s.mu.Lock()
	s.calling = !s.givenUp
	begun := s.calling
	s.mu.Unlock()
	if !begun {
		return &rfc.Error{Class: rfc.TimedOut, Broken: true, Message: "no time left"}
	}
	defer func() {
		s.mu.Lock()
		s.calling = false
		s.mu.Unlock()
	}()
	return call()
}

// Ping asks the server for a sign of life: only this shows a connection that a
// server or firewall has dropped.
func (s *session) Ping(ctx context.Context) error {
	return s.do(ctx, func(f *frame) error {
		return s.during(func() error {
			if f.lib.ping(f.handle, &f.e) != rcOK {
				return f.e.failure(false)
			}
			return nil
		})
	})
}

// Call runs a function module.
func (s *session) Call(ctx context.Context, call rfc.Call) (rfc.Reply, error) {
	var reply rfc.Reply
	err := s.do(ctx, func(f *frame) error {
		result, err := s.call(ctx, f, call)
		if err == nil {
			reply = result
		}
		return err
	})
	if err != nil {
		// An abandoned call may still write reply.
		return rfc.Reply{}, err
	}
	return reply, nil
}

// call builds the function's container, invokes it and reads the results.
func (s *session) call(ctx context.Context, f *frame, call rfc.Call) (rfc.Reply, error) {
	d, err := s.describe(f, call.Function)
	if err != nil {
		return rfc.Reply{}, err
	}
	container := f.lib.createFunction(d.handle, &f.e)
	if container == 0 {
		return rfc.Reply{}, f.e.failure(false)
	}
	defer func() {
		var e errorInfo
		f.lib.destroyFunction(container, &e)
	}()
	if err := f.fill(container, d, call); err != nil {
		return rfc.Reply{}, err
	}
	if ctx.Err() != nil {
		return rfc.Reply{}, &rfc.Error{Class: rfc.TimedOut, Message: "no time left", Err: ctx.Err()}
	}
	err = s.during(func() error {
		if f.lib.invoke(f.handle, container, &f.e) != rcOK {
			return f.e.failure(true)
		}
		return nil
	})
	if err != nil {
		return rfc.Reply{}, err
	}
	reply, err := f.read(container, d, call)
	if err != nil {
		e := rfc.As(err)
		e.Sent = true
		return rfc.Reply{}, e
	}
	return reply, nil
}

// Function describes a function module.
func (s *session) Function(ctx context.Context, name string) (rfc.Function, error) {
	var function rfc.Function
	err := s.do(ctx, func(f *frame) error {
		d, err := s.describe(f, name)
		if err == nil {
			function = d.function
		}
		return err
	})
	if err != nil {
		return rfc.Function{}, err
	}
	return function, nil
}

func (s *session) describe(f *frame, name string) (d *description, err error) {
	err = s.during(func() error {
		d, err = f.describe(name)
		return err
	})
	return d, err
}

// Commit commits and waits for the update.
func (s *session) Commit(ctx context.Context) error {
	reply, err := s.Call(ctx, rfc.Call{Function: rfc.CommitFunction, Values: map[string]string{"WAIT": "X"}})
	if err != nil {
		return err
	}
	row := reply.Structures["RETURN"]
	switch row["TYPE"] {
	case "", "S", "I", "W":
		return nil
	}
	return &rfc.Error{
		Class: rfc.Refused, Sent: true, MessageID: row["ID"] + " " + row["NUMBER"],
		Message: "SAP could not save the order: " + row["MESSAGE"],
	}
}

// Rollback drops the unit of work.
func (s *session) Rollback(ctx context.Context) error {
	_, err := s.Call(ctx, rfc.Call{Function: rfc.RollbackFunction})
	return err
}
