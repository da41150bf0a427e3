package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/delivery/circuit"
	"github.com/orderport/orderport/host/internal/delivery/fairshare"
	"github.com/orderport/orderport/host/internal/domain"
)

const (
	// rowAge is how old a lane's copy of its connection's row may be.
	rowAge = time.Second
	// gather is how long a busy lane waits for more free slots before it
	// claims for a few: each claim is a commit.
	gather = 4 * time.Millisecond
	// claimRetry is the pause after a claim that failed.
	claimRetry = 250 * time.Millisecond
)

// lane serves one connection while there is something to do for it. One
// goroutine claims; each attempt has its own; suspects have one of their own,
// one at a time.
type lane struct {
	e      *Engine
	id     uuid.UUID
	signal chan struct{}    // buffered: something below has changed
	share  *fairshare.Share // of the host's slots

	// These belong to the goroutine that runs the lane.
	typeShare *fairshare.Share // of the connector type's slots; nil: no bound
	lowSince  time.Time        // since when few slots are free
	line      line             // how far exports have been claimed

	mu          sync.Mutex
	target      *target   // guarded by mu: nil until it was read
	row         *readRow  // guarded by mu: a newer row to adopt
	storing     int       // guarded by mu: changes of health on their way to the database
	stored      time.Time // guarded by mu: when the last one got there
	wanted      bool      // guarded by mu: there may be something due
	suspects    bool      // guarded by mu: there may be suspects due
	suspectBusy bool      // guarded by mu: the suspects' goroutine lives
	probation   probation // guarded by mu
	running     int       // guarded by mu: attempts under way, suspects aside
	pace        pace      // guarded by mu
	outages     int       // guarded by mu: network failures in a row
	again       bool      // guarded by mu: something is due that has been claimed before
	rate        rate      // guarded by mu: of attempts, suspects included
	heldUntil   time.Time // guarded by mu: claim nothing before
}

// readRow is a connection's row and when it was asked for: what it says of the
// circuit may be older than what the lane knows.
type readRow struct {
	conn  domain.Connection
	asked time.Time
}

// lookOpts say why a connection is looked at.
type lookOpts struct {
	row      *readRow // what was just read, if it was
	suspects bool     // look for suspects, too
}

// look wakes the connection's lane, or begins one.
func (e *Engine) look(id uuid.UUID, o lookOpts) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started || e.stopping {
		return
	}
	l := e.lanes[id]
	if l == nil {
		l = &lane{e: e, id: id, signal: make(chan struct{}, 1)}
		l.share = e.slots.Join(l.poke)
		e.lanes[id] = l
		e.loops.Go(l.run)
		e.poller.Expect(id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = true
	l.suspects = l.suspects || o.suspects
	if o.row != nil {
		l.row = o.row
	}
	l.poke()
}

// poke makes the lane look around. It never blocks.
func (l *lane) poke() {
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// run serves the connection until there has been nothing to do for a while.
// Attempts outlive it only when the engine stops.
func (l *lane) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		pause := l.step()
		timer.Reset(pause)
		select {
		case <-l.e.working.Done():
			l.share.Quit()
			return
		case <-l.signal:
		case <-timer.C:
			if pause == l.e.o.Knobs.Linger && l.end() {
				return
			}
		}
	}
}

// end removes an idle lane from the engine. It says no if there is something
// to do after all.
func (l *lane) end() bool {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted || l.running > 0 || l.suspectBusy || !l.rate.isFull(time.Now()) || l.probation.holds(time.Now()) {
		return false
	}
	delete(l.e.lanes, l.id)
	return true
}

// step does what can be done now and returns when to look again at the latest.
// Linger means: nothing to do by itself.
func (l *lane) step() time.Duration {
	idle := l.e.o.Knobs.Linger
	if !l.isWanted() {
		l.quitLine()
		return idle
	}
	t, ok := l.refresh(rowAge)
	if !ok {
		l.quitLine()
		return claimRetry
	}
	if t == nil || t.conn.Health.State == domain.Down {
		l.settle()
		return idle
	}
	if wait := l.holdLeft(); wait > 0 {
		l.quitLine()
		return wait
	}
	if _, wait := l.allowance(t, 1); wait > 0 {
		l.quitLine()
		return wait
	}
	if l.runsAlone() {
		l.startSuspects(t)
		return idle
	}
	l.startSuspects(t)
	free := l.free(t)
	if free <= 0 {
		l.quitLine()
		return idle
	}
	if allowed, _ := l.allowance(t, free); allowed < free {
		free = max(1, allowed) // a suspect may have taken the one that there was
	}
	if wait := l.gatherFor(t, free); wait > 0 {
		return wait
	}
	granted := l.take(t, free)
	if granted == 0 {
		return idle // the pool will call
	}
	return l.claim(t, granted)
}

func (l *lane) isWanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted
}

// settle gives up for now: the sweep will find what is due.
func (l *lane) settle() {
	l.quitLine()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted, l.suspects = false, false
}

func (l *lane) quitLine() {
	l.share.Quit()
	if l.typeShare != nil {
		l.typeShare.Quit()
	}
}

func (l *lane) holdLeft() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.heldUntil)
}

// refresh returns the target as it is now, not older than age. Nil means that
// the connection can't be served here now; not ok, that this could not be found
// out.
func (l *lane) refresh(age time.Duration) (t *target, ok bool) {
	l.mu.Lock()
	old, row := l.target, l.row
	l.row = nil
	l.mu.Unlock()
	if row == nil {
		if old != nil && time.Since(old.read) < age {
			return old, true
		}
		ctx, cancel := context.WithTimeout(l.e.working, callTimeout)
		defer cancel()
		asked := time.Now()
		conn, err := l.e.o.Store.ConnectionByID(ctx, l.id)
		if isNotFound(err) {
			return nil, true
		}
		if err != nil {
			l.e.log.Warn("connection could not be read; tried again", "connection", l.id, "error", err)
			return nil, false
		}
		row = &readRow{conn: conn, asked: asked}
	}
	return l.adopt(row, old), true
}

// adopt makes a row the lane's target. A config that does not open takes the
// connection down, with the reason.
func (l *lane) adopt(row *readRow, old *target) *target {
	conn := row.conn
	if conn.Status != domain.Active {
		return nil
	}
	t, err := l.e.target(l.e.working, conn, old)
	if err != nil {
		return nil
	}
	if t.configErr != nil && conn.Health.State != domain.Down {
		t = t.with(l.e.openCircuit(t.conn, port.InvalidConfig, sealedReason(t.configErr)))
	}
	if slots := l.e.slotsOf(conn.ConnectorType, t.port); slots.pool != nil && l.typeShare == nil {
		l.typeShare = slots.pool.Join(l.poke)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// The lane may have moved the circuit while the row was being read.
	sameConfig := l.target != nil && l.target.conn.UpdatedAt.Equal(conn.UpdatedAt)
	if l.target != nil && !sameConfig {
		l.heldUntil = time.Time{} // somebody has done something about it
	}
	if sameConfig && (l.storing > 0 || row.asked.Before(l.stored)) {
		t = t.with(l.target.conn.Health)
	}
	l.target = t
	return t
}

// free is how many more attempts the lane may run.
func (l *lane) free(t *target) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.width(t) - l.running
}

// width is how many attempts may run at one time. Called with mu held.
func (l *lane) width(t *target) int {
	if circuit.Trial(t.conn.Health) {
		return 1
	}
	return l.pace.width(t.concurrency(l.e.o.Knobs.Concurrency, l.e.hostsWith(t.conn.ConnectorType)))
}

// gatherFor says how long to wait for more slots to get free. It is never long:
// where attempts hang, the few that are free must be used.
func (l *lane) gatherFor(t *target, free int) time.Duration {
	l.mu.Lock()
	width := l.width(t)
	l.mu.Unlock()
	if free >= (width+3)/4 {
		l.lowSince = time.Time{}
		return 0
	}
	if l.lowSince.IsZero() {
		l.lowSince = time.Now()
	}
	wait := gather - time.Since(l.lowSince)
	if wait <= 0 {
		l.lowSince = time.Time{}
		return 0
	}
	return wait
}

// take takes slots of the host and of the connector type, equally many.
func (l *lane) take(_ *target, want int) int {
	n := l.share.Take(want)
	if n == 0 || l.typeShare == nil {
		return n
	}
	granted := l.typeShare.Take(n)
	l.share.Give(n - granted)
	return granted
}

func (l *lane) give(n int) {
	if l.typeShare != nil {
		l.typeShare.Give(n)
	}
	l.share.Give(n)
}

// claim leases up to n exports and starts them.
func (l *lane) claim(t *target, n int) time.Duration {
	l.mu.Lock()
	l.wanted = false // a nudge from here on wants another look
	after := l.line.next(l.again)
	l.again = false
	l.mu.Unlock()
	host := l.e.host.Load()
	asked := time.Now()
	claimed, ok := l.e.claim(host, t.conn, claimOpts{limit: n, after: after})
	l.give(n - len(claimed))
	if !ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wanted, l.again = true, true
		return claimRetry
	}
	more := l.line.claimed(claimed, n)
	l.mu.Lock()
	l.running += len(claimed)
	l.rate.spend(len(claimed))
	l.pace.weigh(claimed)
	l.wanted = l.wanted || more
	l.mu.Unlock()
	for _, c := range claimed {
		r := &run{export: c.Export, order: c.Order, host: host, target: t, port: t.port, claimed: asked}
		l.e.attempts.Add(1)
		l.e.hands.Do(func() {
			defer l.e.attempts.Done()
			d := l.e.attempt(r)
			l.ended(r, d)
			l.give(1)
			l.poke()
		})
	}
	switch {
	case more:
		return 0
	case len(claimed) == 0:
		return l.missed(t)
	}
	return l.e.o.Knobs.Linger
}

// missed finds out whether a claim got nothing because the connection has been
// changed since it was read, and then has the lane look again.
func (l *lane) missed(t *target) time.Duration {
	now, ok := l.refresh(0)
	if ok && (now == nil || now.conn.UpdatedAt.Equal(t.conn.UpdatedAt)) {
		return l.e.o.Knobs.Linger
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = true
	if !ok {
		return claimRetry
	}
	return 0
}

// ended draws the lane's conclusions from an attempt.
func (l *lane) ended(r *run, d decision) {
	l.learn(r, d) // before the lane can claim for the place that gets free
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.pace.note(r.atTarget)
}

// learn keeps the circuit and wakes the lane for what is due again at once.
func (l *lane) learn(r *run, d decision) {
	health, moved := l.judge(r, d)
	if !moved {
		return
	}
	l.e.storeHealth(r.target.conn, health)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.storing--
	l.stored = time.Now()
}

// judge updates what the lane knows and returns the connection's health, if it
// changed.
func (l *lane) judge(r *run, d decision) (domain.Health, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UTC()
	if until := now.Add(d.hold); d.hold > 0 && until.After(l.heldUntil) {
		l.heldUntil = until
	}
	if d.crashed {
		l.suspects = true
	}
	if f := d.finish; f.Status == domain.Pending && f.NextAttemptIn == 0 {
		l.wanted, l.again = true, true
	}
	current := l.target
	if current == nil || !current.conn.UpdatedAt.Equal(r.target.conn.UpdatedAt) {
		return domain.Health{}, false // it says nothing about the config of now
	}
	var health domain.Health
	moved := false
	switch {
	case d.outage != "" && current.conn.Health.State != domain.Down:
		l.outages++
		if circuit.Opens(d.outage, l.outages) {
			l.outages = 0
			health, moved = circuit.Open(current.conn.Health, d.outage, outageReason(d), now, l.e.rules.random()), true
		}
	case d.worked:
		l.outages = 0
		health, moved = circuit.Worked(current.conn.Health, now)
	}
	if moved {
		l.target = current.with(health)
		l.storing++
	}
	return health, moved
}

func outageReason(d decision) string {
	if d.finish.Error == nil {
		return string(d.outage)
	}
	return d.finish.Error.Message
}

// openCircuit takes a connection down.
func (e *Engine) openCircuit(conn domain.Connection, code port.Code, reason string) domain.Health {
	health := circuit.Open(conn.Health, code, reason, time.Now().UTC(), e.rules.random())
	e.storeHealth(conn, health)
	return health
}

// storeHealth tells the other hosts. If it fails the circuit is found out anew.
func (e *Engine) storeHealth(conn domain.Connection, health domain.Health) {
	ctx, cancel := context.WithTimeout(e.recording, callTimeout)
	defer cancel()
	if err := e.o.Store.SetHealth(ctx, conn.ID, conn.UpdatedAt, health); err != nil {
		e.log.Error("circuit not stored", "connection", conn.ID, "state", health.State, "error", err)
		return
	}
	if health.State != conn.Health.State {
		e.o.Observer.CircuitMoved(conn.ConnectorType, health.State, health.Code)
		level := slog.LevelInfo
		if health.State == domain.Down {
			level = slog.LevelWarn // its orders wait
		}
		e.log.Log(ctx, level, "circuit moved", "connection", conn.ID, "state", health.State, "code", health.Code, "reason", health.Reason)
	}
}
