package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk/sdktest"
)

// outcome is what becomes of one call.
type outcome int

const (
	fine       outcome = iota
	notSent            // fails before it leaves
	notApplied         // leaves, is not carried out, and the answer is lost
	applied            // is carried out, and the answer is lost
	late               // is carried out after the caller has given up, see fakeSAP.finish
)

// fakeSAP is a system that keeps orders, and their work until a commit.
type fakeSAP struct {
	abilities rfc.Abilities
	// fault chooses the outcome of the nth call of a function, from 1.
	fault func(function string, n int) outcome
	// answer changes what the create returns.
	answer func(*rfc.Reply)
	// list changes what the list returns.
	list     func(*rfc.Reply)
	commitNo bool // the commit is refused
	// others answer functions that the system does not have of itself, or
	// differently.
	others map[string]func(rfc.Call) (rfc.Reply, error)
	// functions are what the system describes, where it describes any.
	functions map[string]rfc.Function
	id        string
	openErr   error
	pingErr   error
	slow      chan struct{} // where it is not nil, a logon waits for it

	mu      sync.Mutex
	next    int
	saved   map[string]rfc.Call // guarded by mu; by number
	calls   map[string]int      // guarded by mu
	opened  int                 // guarded by mu
	closed  int                 // guarded by mu
	pings   int                 // guarded by mu
	pending []func()            // guarded by mu; see late
}

func newFakeSAP() *fakeSAP {
	return &fakeSAP{
		abilities: rfc.Abilities{UnitOfWork: true}, id: "S4H",
		fault: func(string, int) outcome { return fine },
		saved: map[string]rfc.Call{}, calls: map[string]int{},
	}
}

func (f *fakeSAP) Describe() rfc.Abilities { return f.abilities }

func (f *fakeSAP) Open(ctx context.Context) (rfc.Session, error) {
	if f.slow != nil {
		select {
		case <-f.slow:
		case <-ctx.Done():
			return nil, &rfc.Error{Class: rfc.TimedOut, Message: "the logon got no answer", Err: ctx.Err()}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	if f.openErr != nil {
		return nil, f.openErr
	}
	return &fakeSession{sap: f}, nil
}

// finish lets the late calls take effect.
func (f *fakeSAP) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, work := range f.pending {
		work()
	}
	f.pending = nil
}

func (f *fakeSAP) documents() map[string]rfc.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.saved)
}

// fakeSession holds the orders that it has created and not committed.
type fakeSession struct {
	sap    *fakeSAP
	work   map[string]rfc.Call
	closed bool
	// givenUp: a call was given up, and its answer came at the last moment.
	givenUp bool
}

func (s *fakeSession) Ping(context.Context) error {
	s.sap.mu.Lock()
	defer s.sap.mu.Unlock()
	s.sap.pings++
	return s.sap.pingErr
}

func (s *fakeSession) Usable() bool {
	s.sap.mu.Lock()
	defer s.sap.mu.Unlock()
	return !s.closed && !s.givenUp
}

func (s *fakeSession) Close() {
	s.sap.mu.Lock()
	defer s.sap.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.sap.closed++
	}
}

func (s *fakeSession) Function(_ context.Context, name string) (rfc.Function, error) {
	f, ok := s.sap.functions[name]
	if !ok {
		return rfc.Function{}, rfc.Errorf(rfc.FunctionMissing, "not there")
	}
	return f, nil
}

func (s *fakeSession) Commit(ctx context.Context) error {
	_, err := s.Call(ctx, rfc.Call{Function: rfc.CommitFunction})
	if err == nil && s.sap.commitNo {
		return &rfc.Error{Class: rfc.Refused, Sent: true, Message: "update failed"}
	}
	return err
}

func (s *fakeSession) Rollback(ctx context.Context) error {
	_, err := s.Call(ctx, rfc.Call{Function: rfc.RollbackFunction})
	return err
}

func (s *fakeSession) Call(ctx context.Context, call rfc.Call) (rfc.Reply, error) {
	f := s.sap
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.closed {
		panic("a closed session was used")
	}
	if ctx.Err() != nil {
		return rfc.Reply{}, &rfc.Error{Class: rfc.TimedOut, Message: "no time left"}
	}
	f.calls[call.Function]++
	lost := &rfc.Error{Class: rfc.Unreachable, Sent: true, Broken: true, Message: "the connection was lost"}
	switch f.fault(call.Function, f.calls[call.Function]) {
	case notSent:
		return rfc.Reply{}, &rfc.Error{Class: rfc.Unreachable, Broken: true, Message: "no connection"}
	case notApplied:
		return rfc.Reply{}, lost
	case applied:
		s.run(call)
		return rfc.Reply{}, lost
	case fine:
		if other := f.others[call.Function]; other != nil {
			return other(call)
		}
	case late:
		f.pending = append(f.pending, func() { s.run(call) })
		return rfc.Reply{}, lost
	}
	return s.run(call), nil
}

// wrapper is the function that creates and commits in one call.
const wrapper = "Z_ORDERPORT_ORDER_CREATE"

func (s *fakeSession) run(call rfc.Call) rfc.Reply {
	f := s.sap
	reply := rfc.Reply{Values: map[string]string{}, Structures: map[string]rfc.Structure{}, Tables: map[string][]rfc.Structure{}}
	switch call.Function {
	case "RFC_SYSTEM_INFO":
		reply.Structures["RFCSI_EXPORT"] = rfc.Structure{"RFCSYSID": f.id}
	case createBAPI, wrapper:
		if call.Values["TESTRUN"] == "X" {
			reply.Values["SALESDOCUMENT"] = ""
			reply.Tables["RETURN"] = []rfc.Structure{{"TYPE": "E", "ID": "V1", "NUMBER": "331", "MESSAGE": "Enter sold-to party"}}
			break
		}
		f.next++
		number := fmt.Sprintf("%010d", 4710+f.next)
		reply.Values["SALESDOCUMENT"] = number
		reply.Tables["RETURN"] = []rfc.Structure{{"TYPE": "S", "ID": "V1", "NUMBER": "311", "MESSAGE": "Standard Order has been saved"}}
		if f.answer != nil {
			f.answer(&reply)
		}
		if initial(reply.Values["SALESDOCUMENT"]) {
			break
		}
		if call.Function == wrapper {
			f.saved[number] = call
			break
		}
		if s.work == nil {
			s.work = map[string]rfc.Call{}
		}
		s.work[number] = call
	case rfc.CommitFunction:
		if !f.commitNo {
			maps.Copy(f.saved, s.work)
		}
		s.work = nil
	case rfc.RollbackFunction:
		s.work = nil
	case getlistBAPI:
		reply.Structures["RETURN"] = rfc.Structure{"TYPE": ""}
		reply.Tables["SALES_ORDERS"] = []rfc.Structure{}
		for number, saved := range f.saved {
			if ref := saved.Structures["ORDER_HEADER_IN"]["PURCH_NO_C"]; ref == call.Values["PURCHASE_ORDER"] {
				row := rfc.Structure{"SD_DOC": number, "PURCH_NO": ref, "PURCH_NO_C": ref}
				reply.Tables["SALES_ORDERS"] = append(reply.Tables["SALES_ORDERS"], row, row)
			}
		}
		if f.list != nil {
			f.list(&reply)
		}
	default:
		panic("unknown function " + call.Function)
	}
	return reply
}

// bench is a connector on a fake system, with a clock of its own.
type bench struct {
	sap       *fakeSAP
	connector *connector
	host      *sdktest.Host
	mu        sync.Mutex
	time      time.Time // guarded by mu
}

func newBench(t *testing.T) *bench {
	b := &bench{sap: newFakeSAP(), time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.connector = newConnector()
	b.connector.now = func() time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.time
	}
	b.connector.pause = func(ctx context.Context, d time.Duration) error {
		b.pass(d)
		return ctx.Err()
	}
	b.connector.transport = func(config) (rfc.Transport, error) { return b.sap, nil }
	b.host = sdktest.New(t, b.connector)
	return b
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.time = b.time.Add(d)
}

// fields is a config as a user writes it.
type fields map[string]any

func (f fields) json() string {
	data, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// with returns a copy with some fields set, or taken away by nil.
func (f fields) with(changes fields) fields {
	changed := maps.Clone(f)
	for name, value := range changes {
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
	}
	return changed
}

func nwrfcFields() fields {
	return fields{
		"transport": "nwrfc", "client": "100", "ashost": "sap.example", "sysnr": "00",
		"user": "ORDERPORT", "password": "Sesame-9", "sales_org": "1000", "distr_chan": "10", "division": "00",
		"default_customer": "4711", "units": fields{"M": "MTR"}, "countries": fields{"Germany": "DE"},
	}
}

func soapFields() fields {
	return nwrfcFields().with(fields{
		"transport": "soap", "url": "https://sap.example:44300", "create_function": wrapper, "ashost": nil, "sysnr": nil,
	})
}
