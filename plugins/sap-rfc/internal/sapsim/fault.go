package sapsim

import (
	"context"
	"sync"
)

// Steps that are no function modules, for Fault.Function.
const (
	LogonStep    = "<logon>"
	DescribeStep = "<describe>"
)

// Moment is when a fault strikes.
type Moment int

// The moments.
const (
	// Before the function has had any effect.
	Before Moment = iota
	// After its effect, ahead of the answer.
	After
)

// Trouble is what happens.
type Trouble int

// The troubles.
const (
	// Drop cuts the connection: no answer comes.
	Drop Trouble = iota
	// Hang waits for Planned.Release, and then goes on whoever still listens.
	Hang
	// Fail answers with Fault.Failure.
	Fail
	// Watch lets everything go its way, after Fault.Run.
	Watch
)

// Fault is one thing that goes wrong.
type Fault struct {
	// Function is the function module or step that it strikes; "" is any.
	Function string
	// Nth is which call it strikes, counted from 1 from now on; 0 is every one.
	Nth     int
	Moment  Moment
	Trouble Trouble
	Failure *Failure
	// Run is called when it strikes, before anything else. It may kill the
	// client.
	Run func()
}

// Planned is a fault that waits for its call.
type Planned struct {
	system *System
	fault  Fault
	met    chan struct{}
	once   sync.Once
	free   chan struct{}
	freed  sync.Once

	seen int // guarded by system.mu
	hits int // guarded by system.mu
}

// Inject plans a fault.
func (s *System) Inject(f Fault) *Planned {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Planned{system: s, fault: f, met: make(chan struct{}), free: make(chan struct{})}
	s.faults = append(s.faults, p)
	return p
}

// Met is closed when the fault has struck for the first time.
func (p *Planned) Met() <-chan struct{} { return p.met }

// Hits says how often it has struck.
func (p *Planned) Hits() int {
	p.system.mu.Lock()
	defer p.system.mu.Unlock()
	return p.hits
}

// Release lets what hangs go on, and takes the fault away.
func (p *Planned) Release() {
	p.freed.Do(func() { close(p.free) })
	s := p.system
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.faults {
		if other == p {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return
		}
	}
}

// meet carries out the faults that are planned for a step and moment.
func (s *System) meet(ctx context.Context, step string, moment Moment) error {
	for _, p := range s.striking(step, moment) {
		if p.fault.Run != nil {
			p.fault.Run()
		}
		p.once.Do(func() { close(p.met) })
		switch p.fault.Trouble {
		case Drop:
			return ErrDropped
		case Fail:
			return p.fault.Failure
		case Hang:
			select {
			case <-p.free:
			case <-ctx.Done():
				return ctx.Err()
			case <-s.stop:
				return ErrDropped
			}
		case Watch:
		}
	}
	return nil
}

func (s *System) striking(step string, moment Moment) []*Planned {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Planned
	for _, p := range s.faults {
		if p.fault.Moment != moment || p.fault.Function != "" && p.fault.Function != step {
			continue
		}
		p.seen++
		if p.fault.Nth == 0 || p.fault.Nth == p.seen {
			p.hits++
			list = append(list, p)
		}
	}
	return list
}
