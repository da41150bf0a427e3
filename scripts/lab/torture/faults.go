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
	when   func(*scene) bool
	// do returns errNothing if there was nothing to do it to.
	do func(context.Context, *scene, step) error
}

var errNothing = errors.New("there is none now")

// allFaults lists what is done, and how often in relation to each other.
func allFaults() []fault {
	return []fault{
		{"kill host", 4, always, killHost},
		{"stop host", 1, always, stopHost},
		{"kill connector", 6, always, killConnector},
		{"stop connector", 2, always, stopConnector},
		{"kill postgres", 2, withPostgres, killPostgres},
		{"kill sftp server", 1, withSFTP, killServer},
		{"kill sftp sessions", 1, withSFTP, killSessions},
		{"cut network", 4, withSFTP, cutNetwork},
		{"black hole", 1, withSFTP, blackHole},
		{"fill the ERP's disk", 1, withSmallDisk, fillDisk},
		{"fill the hosts' disk", 1, withSmallHostDisk, fillHostDisk},
		{"kill all at once", 1, always, killAll},
	}
}

// possibleFaults lists those that can happen here.
func possibleFaults(s *scene) []fault {
	var possible []fault
	for _, f := range allFaults() {
		if f.when(s) {
			possible = append(possible, f)
		}
	}
	return possible
}

func always(*scene) bool              { return true }
func withPostgres(s *scene) bool      { return s.pg != nil }
func withSFTP(s *scene) bool          { return s.target.remote() != nil }
func withSmallDisk(s *scene) bool     { return s.target.room().mounted }
func withSmallHostDisk(s *scene) bool { return s.disk.mounted }

func (s *scene) anyHost(at step) *keptHost { return s.hosts[at.rand.IntN(len(s.hosts))] }

func killHost(ctx context.Context, s *scene, at step) error {
	h := s.anyHost(at)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.host.Running() {
		return errNothing
	}
	s.killLocked(h)
	// The keeper starts it again, at once or after a while.
	if at.rand.IntN(3) == 0 {
		s.sleep(ctx, between(at.rand, 200*time.Millisecond, 3*time.Second))
	}
	return nil
}

// killLocked kills a host whose lock is held.
func (s *scene) killLocked(h *keptHost) {
	s.say("kill host %s (%d)", h.host.Name, h.host.PID())
	s.kills["host"]++
	s.hostKills = append(s.hostKills, hostKill{h.host.Name, time.Now()})
	h.host.Kill()
}

// stopHost freezes a host, half of the time for so long that it is taken for
// dead: it must not be able to do anything for what was taken over. Where there
// are others, every second time the next faults are theirs meanwhile: what it
// holds must not hold them up.
func stopHost(ctx context.Context, s *scene, at step) error {
	h := s.anyHost(at)
	pause := between(at.rand, 200*time.Millisecond, 2*time.Second)
	if at.rand.IntN(2) == 0 {
		pause += 6 * time.Second
	}
	h.mu.Lock()
	proc := h.host.Process
	h.mu.Unlock()
	if !proc.Running() {
		return errNothing
	}
	meanwhile := len(s.hosts) > 1 && at.rand.IntN(2) == 0
	if meanwhile {
		pause += between(at.rand, 0, 20*time.Second)
	}
	s.say("stop host %s (%d) for %.1f s", h.host.Name, proc.PID(), pause.Seconds())
	if err := proc.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if meanwhile {
		time.AfterFunc(pause, func() { _ = proc.Signal(syscall.SIGCONT) }) // it may have been killed
		return nil
	}
	s.sleep(ctx, pause)
	return proc.Signal(syscall.SIGCONT)
}

// connectorOf returns the id of a connector process of some host.
func (s *scene) connectorOf(at step) (int, error) {
	h := s.anyHost(at)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.host.Running() {
		return 0, errNothing
	}
	pids := h.host.Connectors()
	if len(pids) == 0 {
		return 0, errNothing
	}
	return pids[at.rand.IntN(len(pids))], nil
}

func killConnector(_ context.Context, s *scene, at step) error {
	pid, err := s.connectorOf(at)
	if err != nil {
		return err
	}
	s.say("kill connector (%d)", pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	s.kills["connector"]++
	return nil
}

func stopConnector(ctx context.Context, s *scene, at step) error {
	pid, err := s.connectorOf(at)
	if err != nil {
		return err
	}
	s.say("stop connector (%d)", pid)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	s.sleep(ctx, between(at.rand, 200*time.Millisecond, 3*time.Second))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func killPostgres(ctx context.Context, s *scene, at step) error {
	s.crashPostgres()
	s.sleep(ctx, between(at.rand, 100*time.Millisecond, 2*time.Second))
	return s.pg.Start(ctx)
}

func (s *scene) crashPostgres() {
	s.say("kill postgres")
	s.kills["postgres"]++
	s.pg.Crash()
}

func killServer(ctx context.Context, s *scene, at step) error {
	s.crashServer()
	s.sleep(ctx, between(at.rand, 100*time.Millisecond, 2*time.Second))
	return s.target.remote().server.Restart(ctx)
}

func (s *scene) crashServer() {
	s.say("kill sftp server")
	s.kills["sftp server"]++
	s.target.remote().server.Kill()
}

func killSessions(_ context.Context, s *scene, _ step) error {
	server := s.target.remote().server
	if server.Sessions() == 0 {
		return errNothing
	}
	s.say("kill sftp sessions")
	s.kills["sftp sessions"]++
	server.KillSessions()
	return nil
}

// cutNetwork resets the connections at once, or after some more bytes, which
// is in the middle of some protocol step.
func cutNetwork(ctx context.Context, s *scene, at step) error {
	proxy := s.target.remote().proxy
	if at.rand.IntN(4) == 0 {
		s.say("cut network")
		proxy.Cut()
		return nil
	}
	bytes := int64(at.rand.IntN(6000))
	s.say("cut network after %d bytes", bytes)
	proxy.CutAfter(bytes)
	s.sleep(ctx, between(at.rand, 100*time.Millisecond, 600*time.Millisecond))
	proxy.CutAfter(-1)
	return nil
}

func blackHole(ctx context.Context, s *scene, at step) error {
	proxy := s.target.remote().proxy
	s.say("black hole")
	proxy.Blackhole(true)
	s.sleep(ctx, between(at.rand, 500*time.Millisecond, 8*time.Second))
	proxy.Blackhole(false)
	return nil
}

func fillDisk(ctx context.Context, s *scene, at step) error {
	s.say("fill the ERP's disk")
	return s.fillFor(ctx, s.target.room(), at)
}

// fillHostDisk leaves no room for payloads and logs, nor for the database if
// that is SQLite.
func fillHostDisk(ctx context.Context, s *scene, at step) error {
	s.say("fill the hosts' disk")
	return s.fillFor(ctx, &s.disk, at)
}

func (s *scene) fillFor(ctx context.Context, disk *smallDisk, at step) error {
	give, err := disk.fill()
	if err != nil {
		return err
	}
	s.sleep(ctx, between(at.rand, 300*time.Millisecond, 3*time.Second))
	return give()
}

// killAll is what a power cut does to processes.
func killAll(ctx context.Context, s *scene, at step) error {
	s.say("kill all at once")
	for _, h := range s.hosts {
		h.mu.Lock()
		defer h.mu.Unlock() // the keeper starts them when everything is back
		if h.host.Running() {
			s.killLocked(h)
		}
	}
	if s.pg != nil {
		s.crashPostgres()
	}
	if withSFTP(s) {
		s.crashServer()
	}
	s.sleep(ctx, between(at.rand, 100*time.Millisecond, 2*time.Second))
	if withSFTP(s) {
		if err := s.target.remote().server.Restart(ctx); err != nil {
			return err
		}
	}
	if s.pg != nil {
		return s.pg.Start(ctx)
	}
	return nil
}
