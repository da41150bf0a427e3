package pluginhost

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost/image"
)

// supervisor is the goroutine of a unit, with what only it knows.
type supervisor struct {
	*unit
	ctx context.Context

	next    *image.Image // a copy that has not described itself yet, or nil
	crashes int          // processes in a row that died without doing anything
	results chan result
	retry   *time.Timer
}

// result is how a start ended.
type result struct {
	img  *image.Image
	inst *instance // nil: err says why
	err  error
}

// supervise runs until ctx ends or the file is gone, and leaves no process.
func (u *unit) supervise(ctx context.Context) {
	defer close(u.gone)
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	s := &supervisor{unit: u, ctx: ctx, results: make(chan result, 8), retry: retry}
	defer s.shutdown()
	for {
		var exited <-chan struct{}
		if s.current != nil { // written by this goroutine alone
			exited = s.current.proc.Done()
		}
		select {
		case <-ctx.Done():
			return
		case req := <-u.requests:
			if s.look(req); req.gone {
				return
			}
		case r := <-s.results:
			s.started(r)
			s.update(func() { s.starting-- })
		case <-exited:
			s.died()
		case <-retry.C:
			s.tryAgain()
		}
	}
}

// launch starts an image without waiting for it.
func (s *supervisor) launch(img *image.Image) {
	s.update(func() { s.starting++ })
	go func() {
		inst, err := s.host.start(s.ctx, s.file, img)
		s.results <- result{img, inst, err}
	}()
}

// started takes the result of a start.
func (s *supervisor) started(r result) {
	switch {
	case r.img == s.next && r.err == nil:
		s.register(r)
	case r.img == s.next:
		s.candidateFailed(r.err)
	case s.active == nil || r.img != s.active.img || s.current != nil:
		if r.inst != nil { // overtaken by a newer binary
			r.inst.stopInBackground(s.host, "replaced")
		}
		s.discard(r.img)
	case r.err == nil:
		s.resume(r.inst)
	default:
		s.restartFailed(r.err)
	}
}

// discard frees an image that is of no use any more.
func (s *supervisor) discard(img *image.Image) {
	if img == nil || img == s.next || (s.active != nil && img == s.active.img) {
		return
	}
	img.Close()
}

// register takes over a binary that has described itself for the first time:
// new calls go to it, the process before it drains.
func (s *supervisor) register(r result) {
	if err := s.host.admit(s.file, r.inst.id); err != nil {
		r.inst.stopInBackground(s.host, "not admitted")
		s.candidateFailed(err)
		return
	}
	old, before := s.current, s.active
	s.next, s.crashes = nil, 0
	s.update(func() {
		s.active, s.current = &binary{r.img, r.inst.id}, r.inst
		s.state, s.reason, s.retryAt = connector.Ready, "", time.Time{}
		if old != nil {
			s.draining = append(s.draining, old)
		}
	})
	s.retry.Stop()
	d := r.inst.id.describe
	s.host.log.InfoContext(s.ctx, "connector ready", "type", d.GetConnectorType(), "version", d.GetVersion(),
		"binary", s.file, "pid", r.inst.proc.PID(), "took", r.inst.took)
	if old != nil {
		s.drain(old)
	}
	if before != nil {
		s.discard(before.img)
	}
}

// resume takes a restarted process into use.
func (s *supervisor) resume(inst *instance) {
	if err := inst.id.sameAs(s.active.id); err != nil {
		inst.stopInBackground(s.host, "identity changed")
		s.restartFailed(err)
		return
	}
	s.update(func() {
		s.current = inst
		s.restarts++
		s.state, s.reason, s.retryAt = connector.Ready, "", time.Time{}
	})
	s.host.log.InfoContext(s.ctx, "connector restarted", "type", s.active.id.describe.GetConnectorType(),
		"binary", s.file, "pid", inst.proc.PID(), "took", inst.took)
}

// drain lets a replaced process end its calls, then stops it.
func (s *supervisor) drain(inst *instance) {
	idle := inst.retire()
	s.host.background.Go(func() {
		select {
		case <-idle:
		case <-time.After(s.host.opts.Limits.Drain):
		case <-inst.proc.Done():
		case <-s.host.halted:
		}
		inst.end(s.host, "replaced")
		s.update(func() {
			s.draining = slices.DeleteFunc(s.draining, func(d *instance) bool { return d == inst })
		})
	})
}

// died handles the end of the current process.
func (s *supervisor) died() {
	inst := s.current
	inst.retire()
	exit := inst.proc.Exit()
	// A binary that works in another process is not broken: its calls are.
	if proven := s.proven.Swap(false); proven || inst.productive(s.host.opts.Limits.Healthy) {
		s.crashes = 0
	}
	s.host.log.WarnContext(s.ctx, "connector died", "type", inst.id.describe.GetConnectorType(),
		"binary", s.file, "exit", exit.String(), "in_flight", inst.calls())
	s.update(func() {
		s.current = nil
		s.lastExit, s.lastLog = exit.String(), inst.sink.Tail()
	})
	s.backOff(exit.String())
}

// restartFailed handles a registered binary that did not come up again.
func (s *supervisor) restartFailed(err error) {
	s.update(func() { s.lastExit = err.Error() })
	if hopeless(err) {
		s.quarantine(err.Error(), true)
		return
	}
	s.backOff(err.Error())
}

// candidateFailed handles a new binary that can't be used. What runs already
// goes on.
func (s *supervisor) candidateFailed(err error) {
	s.host.log.WarnContext(s.ctx, "connector can't be used", "binary", s.file, "sha256", s.next.SHA256, "error", err)
	if s.active != nil {
		reason := fmt.Sprintf("the new binary (sha256 %.12s…) is not taken over, the old one goes on: %v", s.next.SHA256, err)
		img := s.next
		s.next = nil
		s.discard(img)
		s.update(func() { s.reason = reason })
		return
	}
	s.update(func() { s.lastExit = err.Error() })
	if hopeless(err) {
		s.quarantine(err.Error(), true)
		return
	}
	s.backOff(err.Error())
}

// backOff plans the next start after a death, or gives up for now.
func (s *supervisor) backOff(reason string) {
	limits := s.host.opts.Limits
	s.crashes++
	if s.crashes >= limits.CrashLimit {
		s.quarantine(fmt.Sprintf("failed %d times in a row without doing anything: %s", s.crashes, reason), true)
		return
	}
	pause := min(limits.BackoffMin<<(s.crashes-1), limits.BackoffMax)
	pause += time.Duration(rand.Int64N(int64(pause)/4 + 1)) // jitter: hosts must not restart in step
	s.retry.Reset(pause)
	s.update(func() {
		s.state, s.reason = connector.Backoff, reason
		s.retryAt = time.Now().Add(pause)
	})
}

// quarantine gives up until something changes; with parole, also until a long
// pause has passed.
func (s *supervisor) quarantine(reason string, parole bool) {
	pause := s.host.opts.Limits.Parole
	s.update(func() {
		s.state, s.reason, s.retryAt = connector.Quarantined, reason, time.Time{}
		if parole {
			s.retryAt = time.Now().Add(pause)
		}
	})
	s.retry.Stop()
	if parole {
		s.retry.Reset(pause)
	}
	s.host.log.ErrorContext(s.ctx, "connector quarantined", "binary", s.file, "reason", reason)
}

// tryAgain starts what should be running. After a quarantine one more failure
// ends in quarantine again.
func (s *supervisor) tryAgain() {
	if s.starting > 0 || s.current != nil {
		return
	}
	switch {
	case s.active != nil:
		s.launch(s.active.img)
	case s.next != nil:
		s.launch(s.next)
	default:
		return
	}
	s.update(func() { s.retryAt = time.Time{} })
}

// shutdown ends every process of the unit, as gently as the host's stop
// allows, and frees its images.
func (s *supervisor) shutdown() {
	s.retry.Stop()
	current := s.current
	s.update(func() { s.current, s.state, s.retryAt = nil, connector.Stopped, time.Time{} })
	if current != nil {
		idle := current.retire()
		select {
		case <-idle:
		case <-current.proc.Done():
		case <-s.host.halted:
		}
		current.end(s.host, "host stops it")
	}
	for range s.starting {
		if r := <-s.results; r.inst != nil {
			r.inst.end(s.host, "host stops it")
		}
	}
	if s.next != nil {
		s.next.Close()
	}
	if s.active != nil {
		s.active.img.Close()
	}
}
