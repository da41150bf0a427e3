package pluginhost

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost/image"
	"github.com/orderport/orderport/host/internal/pluginhost/lock"
)

// unit is one binary of the plugin directory. Its goroutine (supervise) alone
// decides what runs; everybody else reads under mu.
type unit struct {
	host *Host
	file string // base name
	path string

	seen     stamp       // of the file when it was last looked at; guarded by Host.scanning
	proven   atomic.Bool // an isolated process of it has answered a call since the last death
	requests chan *request
	gone     chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	state    connector.State
	reason   string
	since    time.Time
	lockType string // type that the lock file pins for the file, or empty
	trusted  bool
	digest   string // of the file as last seen
	active   *binary
	current  *instance // ready for calls, or nil
	draining []*instance
	changed  chan struct{} // closed and replaced whenever something above changes
	retryAt  time.Time     // when the next start is planned; zero: none is
	restarts int
	lastExit string
	lastLog  []string
	starting int // starts that are under way
}

// binary is a copy that has run and described itself.
type binary struct {
	img *image.Image
	id  *identity
}

// request asks the goroutine of a unit to look at its file again.
type request struct {
	lock  *lock.File
	gone  bool // the file is not there any more
	force bool // also try again what was given up
	done  chan struct{}
}

func newUnit(h *Host, file, path string) *unit {
	return &unit{
		host: h, file: file, path: path,
		requests: make(chan *request), gone: make(chan struct{}),
		state: connector.Starting, since: time.Now(), changed: make(chan struct{}),
	}
}

// update changes what others see, and wakes those who wait for a change.
func (u *unit) update(change func()) {
	u.mu.Lock()
	before := u.state
	change()
	if u.state != before {
		u.since = time.Now()
	}
	close(u.changed)
	u.changed = make(chan struct{})
	u.mu.Unlock()
	u.host.rebuild()
}

// offer is what a unit has for a call: an instance that the call has entered,
// or why there is none, and a channel that tells when that may have changed.
func (u *unit) offer() (*instance, <-chan struct{}, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != nil && !ended(u.current.proc, 0) && u.current.enter() {
		return u.current, nil, nil
	}
	return nil, u.changed, u.unavailable()
}

// unavailable needs mu.
func (u *unit) unavailable() *connector.UnavailableError {
	reason := u.reason
	if reason == "" || u.state == connector.Ready { // just died
		reason = string(u.state)
	}
	e := &connector.UnavailableError{Type: u.typeName(), Reason: reason}
	if !u.retryAt.IsZero() {
		e.RetryIn = max(time.Until(u.retryAt), time.Millisecond)
	} else if u.state == connector.Starting {
		e.RetryIn = time.Second
	}
	return e
}

// typeName needs mu.
func (u *unit) typeName() string {
	if u.active != nil {
		return u.active.id.describe.GetConnectorType()
	}
	return u.lockType
}

// waitable says whether a call may hope for a process soon.
func (u *unit) waitable() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state == connector.Starting || u.state == connector.Backoff || u.state == connector.Ready
}

// status appends the unit's lines for an operator: one, and one more for each
// replaced process that still has calls to end.
func (u *unit) status(out []connector.Status) []connector.Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := connector.Status{
		Type: u.typeName(), Binary: u.path, SHA256: u.digest, Trusted: u.trusted,
		State: u.state, Reason: u.reason, Since: u.since,
		Restarts: u.restarts, LastExit: u.lastExit, LastLog: u.lastLog,
	}
	if u.active != nil {
		s.Name, s.Version = u.active.id.describe.GetName(), u.active.id.describe.GetVersion()
		s.SHA256 = u.active.id.sha256
	}
	if u.current != nil {
		s.PID, s.InFlight = u.current.proc.PID(), u.current.calls()
		s.StartMilli = u.current.took.Milliseconds()
		s.LastLog = u.current.sink.Tail()
	}
	out = append(out, s)
	for _, d := range u.draining {
		out = append(out, connector.Status{
			Type: d.id.describe.GetConnectorType(), Binary: u.path, Trusted: u.trusted,
			Name: d.id.describe.GetName(), Version: d.id.describe.GetVersion(), SHA256: d.id.sha256,
			State: connector.Draining, Reason: fmt.Sprintf("replaced; %d calls to end", d.calls()),
			PID: d.proc.PID(), InFlight: d.calls(), LastLog: d.sink.Tail(),
		})
	}
	return out
}
