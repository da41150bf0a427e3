package main

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// fault is one thing that can go wrong.
type fault struct {
	name   string
	weight int
	kill   bool // ends a process with SIGKILL
	when   func(*scene) bool
	do     func(context.Context, *scene) error
}

// faults lists what is done, and how often in relation to each other.
var faults = []fault{
	{"kill host", 4, true, always, killHost},
	{"stop host", 1, false, always, stopHost},
	{"kill connector", 6, true, always, killConnector},
	{"stop connector", 2, false, always, stopConnector},
	{"kill postgres", 2, true, withPostgres, killPostgres},
	{"kill sftp server", 2, true, withSFTP, func(ctx context.Context, s *scene) error { return s.target.kill(ctx, s) }},
	{"cut network", 4, false, withSFTP, func(ctx context.Context, s *scene) error { return s.target.cut(ctx, s) }},
	{"black hole", 1, false, withSFTP, func(ctx context.Context, s *scene) error { return s.target.blackHole(ctx, s) }},
	{"fill disk", 1, false, func(s *scene) bool { return s.target.canFill() }, func(ctx context.Context, s *scene) error { return s.target.fill(ctx, s) }},
}

func always(*scene) bool         { return true }
func withPostgres(s *scene) bool { return s.pg != nil }
func withSFTP(s *scene) bool     { return s.plan.target == "sftp" }

// pick chooses a fault that is possible here, by weight.
func (s *scene) pick() fault {
	var possible []fault
	total := 0
	for _, f := range faults {
		if f.when(s) {
			possible = append(possible, f)
			total += f.weight
		}
	}
	n := s.rand.IntN(total)
	for _, f := range possible {
		if n -= f.weight; n < 0 {
			return f
		}
	}
	panic("unreachable: weights add up to total")
}

func (s *scene) anyHost() *keptHost { return s.hosts[s.rand.IntN(len(s.hosts))] }

func killHost(ctx context.Context, s *scene) error {
	h := s.anyHost()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.host.Running() {
		return errors.New("it is not running")
	}
	s.say("kill host %s (%d)", h.host.Name, h.host.PID())
	s.hostKills = append(s.hostKills, time.Now())
	h.host.Kill()
	// The keeper starts it again, at once or after a while.
	if s.rand.IntN(3) == 0 {
		s.pause(ctx, 200*time.Millisecond, 3*time.Second)
	}
	return nil
}

// stopHost freezes a host, half of the time for so long that it is taken for
// dead: it must not be able to do anything for what was taken over.
func stopHost(ctx context.Context, s *scene) error {
	h := s.anyHost()
	long := s.rand.IntN(2) == 0
	h.mu.Lock()
	proc := h.host.Process
	h.mu.Unlock()
	s.say("stop host %s (%d), long=%v", h.host.Name, proc.PID(), long)
	if err := proc.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if long {
		s.pause(ctx, 6*time.Second, 9*time.Second)
	} else {
		s.pause(ctx, 200*time.Millisecond, 2*time.Second)
	}
	return proc.Signal(syscall.SIGCONT)
}

// connectorOf returns the id of a connector process of some host.
func (s *scene) connectorOf() (int, error) {
	h := s.anyHost()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.host.Running() {
		return 0, errors.New("its host is not running")
	}
	pids := h.host.Connectors()
	if len(pids) == 0 {
		return 0, errors.New("the host has no connector now")
	}
	return pids[s.rand.IntN(len(pids))], nil
}

func killConnector(_ context.Context, s *scene) error {
	pid, err := s.connectorOf()
	if err != nil {
		return err
	}
	s.say("kill connector (%d)", pid)
	return syscall.Kill(pid, syscall.SIGKILL)
}

func stopConnector(ctx context.Context, s *scene) error {
	pid, err := s.connectorOf()
	if err != nil {
		return err
	}
	s.say("stop connector (%d)", pid)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	s.pause(ctx, 200*time.Millisecond, 3*time.Second)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func killPostgres(ctx context.Context, s *scene) error {
	s.say("kill postgres")
	s.pg.Crash()
	s.pause(ctx, 100*time.Millisecond, 2*time.Second)
	return s.pg.Start(ctx)
}
