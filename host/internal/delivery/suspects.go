package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
)

// startSuspects begins to run the connection's suspects, if there may be any
// and they are not being run already.
func (l *lane) startSuspects(t *target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.suspects || l.suspectBusy {
		return
	}
	l.suspects, l.suspectBusy = false, true
	l.e.attempts.Go(func() {
		l.runSuspects(t)
		l.mu.Lock()
		l.suspectBusy = false
		l.mu.Unlock()
		l.poke()
	})
}

// mostLoners bounds the processes that run suspects of one connector type. One
// suspect that hangs holds up none of other connections, and a few of them
// don't either.
const mostLoners = 4

// loners are the processes that run suspects of one connector type.
type loners struct {
	open   func() (connector.Port, error)
	tokens chan struct{} // one for each process that may be used

	mu   sync.Mutex
	free []connector.Port // guarded by mu: opened before; the last used one is last
}

func newLoners(open func() (connector.Port, error)) *loners {
	l := &loners{open: open, tokens: make(chan struct{}, mostLoners)}
	for range mostLoners {
		l.tokens <- struct{}{}
	}
	return l
}

// with calls use with a process that nobody else uses meanwhile, when there is
// one. It says no if there was none, or ctx has ended, or use says no.
func (l *loners) with(ctx context.Context, use func(connector.Port) bool) bool {
	select {
	case <-l.tokens:
	case <-ctx.Done():
		return false
	}
	defer func() { l.tokens <- struct{}{} }()
	port, err := l.take()
	if err != nil {
		return false
	}
	defer l.giveBack(port)
	return use(port)
}

func (l *loners) take() (connector.Port, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := len(l.free) - 1; last >= 0 {
		port := l.free[last]
		l.free = l.free[:last]
		return port, nil
	}
	return l.open()
}

func (l *loners) giveBack(port connector.Port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, port)
}

// probation is that of a connection one of whose exports has killed a connector
// that ran nothing else. Others of its exports may be like it, so for a while
// all of them run alone: each that killed the process that all connections
// share would take others' attempts with it, and too many in a row would keep
// the connector from being started again.
type probation struct {
	left  int       // exports that have to go well
	until time.Time // at the latest
}

const (
	probationExports = 50
	probationTime    = 5 * time.Minute
)

func (p *probation) holds(now time.Time) bool { return p.left > 0 && now.Before(p.until) }

// note takes an export that ran alone into account.
func (p *probation) note(crashed bool, now time.Time) {
	if crashed {
		p.left, p.until = probationExports, now.Add(probationTime)
	} else if p.left > 0 {
		p.left--
	}
}

// runsAlone says that the lane is on probation, and makes all that is due the
// suspects' goroutine's business.
func (l *lane) runsAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.probation.holds(time.Now()) {
		return false
	}
	l.share.Quit()
	if l.typeShare != nil {
		l.typeShare.Quit()
	}
	l.suspects = true
	l.wanted = l.suspectBusy // it looks again when that has ended
	return true
}

// runSuspects runs the exports that were under way when their connector died,
// and all of a connection on probation: one after the other, each alone in a
// process, so that the one that kills it harms no other. Innocent ones go
// through here like any other.
func (l *lane) runSuspects(t *target) {
	loners := l.e.slotsOf(t.conn.ConnectorType, t.port).loners
	for !l.e.isStopping() {
		if n, _ := l.allowance(t, 1); n == 0 {
			l.mu.Lock()
			l.suspects, l.wanted = true, true // the lane knows when to go on
			l.mu.Unlock()
			return
		}
		more := loners.with(l.e.working, func(isolated connector.Port) bool { return l.runSuspect(t, isolated) })
		if !more {
			return
		}
	}
}

func (l *lane) onProbation() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.probation.holds(time.Now())
}

// runSuspect runs one suspect and says whether there may be another one.
func (l *lane) runSuspect(t *target, isolated connector.Port) bool {
	host := l.e.host.Load()
	asked := time.Now()
	claimed, ok := l.e.claim(host, t.conn, claimOpts{limit: 1, suspects: true})
	if ok && len(claimed) == 0 && l.onProbation() {
		claimed, ok = l.e.claim(host, t.conn, claimOpts{limit: 1})
	}
	if !ok {
		l.mu.Lock()
		l.suspects, l.wanted = true, true
		l.mu.Unlock()
		return false
	}
	if len(claimed) == 0 {
		return false
	}
	l.spend(1)
	r := &run{
		export: claimed[0].Export, order: claimed[0].Order, host: host, target: t, port: isolated, claimed: asked,
	}
	d := l.e.attempt(r)
	l.learn(r, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); d.crashed || d.worked {
		held := l.probation.holds(now)
		l.probation.note(d.crashed, now)
		l.wanted = l.wanted || held && !l.probation.holds(now) // the rest need not run alone
	}
	down := l.target != nil && l.target.conn.Health.State == domain.Down
	return !down && d.hold == 0
}
