package delivery

import (
	"time"

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

// runSuspects runs the exports that were under way when their connector died:
// one after the other, each alone in a process, so that the one that kills it
// harms no other. Innocent ones go through here like any other.
func (l *lane) runSuspects(t *target) {
	alone := l.e.slotsOf(t.conn.ConnectorType, t.port).alone
	for !l.e.isStopping() {
		select {
		case <-alone:
		case <-l.e.working.Done():
			return
		}
		more := l.runSuspect(t)
		alone <- struct{}{}
		if !more {
			return
		}
	}
}

// runSuspect runs one suspect and says whether there may be another one.
func (l *lane) runSuspect(t *target) bool {
	isolated, err := l.e.o.Registry.Isolated(t.conn.ConnectorType)
	if err != nil {
		return false
	}
	host := l.e.host.Load()
	asked := time.Now()
	claimed, err := l.e.claim(host, t.conn, 1, true)
	if err != nil || len(claimed) == 0 {
		return false
	}
	r := &run{
		export: claimed[0].Export, order: claimed[0].Order, host: host, target: t, port: isolated, claimed: asked,
	}
	d := l.e.attempt(r)
	l.learn(r, d)
	l.mu.Lock()
	defer l.mu.Unlock()
	down := l.target != nil && l.target.conn.Health.State == domain.Down
	return !down && d.hold == 0
}
