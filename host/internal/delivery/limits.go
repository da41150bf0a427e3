package delivery

import (
	"context"
	"encoding/json"
	"math"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

// limits are what a connection's target may be asked for, by all hosts
// together. Zero is no bound.
type limits struct {
	inFlight  int // exports at one time
	perMinute int // exports that begin within a minute
}

// limitsOf returns the narrower of what the connector and the config say.
func limitsOf(d *connectorv1.DescribeResponse, config limits) limits {
	said := d.GetLimits()
	return limits{
		inFlight:  narrower(int(said.GetMaxInFlightPerConnection()), config.inFlight),
		perMinute: narrower(int(said.GetMaxPerMinutePerConnection()), config.perMinute),
	}
}

func narrower(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// configLimits reads the limits of a config. The names are the host's: a
// connector whose schema has them leaves them to it.
func configLimits(config []byte) limits {
	var fields struct {
		InFlight  float64 `json:"max_in_flight"`
		PerMinute float64 `json:"max_per_minute"`
	}
	if json.Unmarshal(config, &fields) != nil {
		return limits{}
	}
	return limits{inFlight: bound(fields.InFlight), perMinute: bound(fields.PerMinute)}
}

// bound makes a number of a config a bound: what is less than one export is
// one, and nonsense is none.
func bound(n float64) int {
	if n <= 0 || n > math.MaxInt32 {
		return 0
	}
	return max(1, int(n))
}

// rate spreads the exports that a lane begins over time. The zero value bounds
// nothing. It is a bucket that holds a quarter of a second's exports, or one.
type rate struct {
	perSecond float64
	room      float64 // exports that may begin now; below 0 if some began out of turn
	at        time.Time
}

// set changes how many exports may begin in a second. Zero: no bound.
func (r *rate) set(perSecond float64, now time.Time) {
	if perSecond == r.perSecond {
		return
	}
	fresh := r.perSecond == 0
	r.refill(now)
	r.perSecond = perSecond
	if fresh {
		r.room, r.at = r.size(), now
	}
}

func (r *rate) size() float64 { return max(1, r.perSecond/4) }

func (r *rate) refill(now time.Time) {
	r.room = min(r.size(), r.room+now.Sub(r.at).Seconds()*r.perSecond)
	r.at = now
}

// allows returns how many of want exports may begin now, and if there are none,
// when to ask again.
func (r *rate) allows(want int, now time.Time) (n int, wait time.Duration) {
	if r.perSecond == 0 {
		return want, 0
	}
	r.refill(now)
	if r.room >= 1 {
		return min(want, int(r.room)), 0
	}
	return 0, time.Duration((1-r.room)/r.perSecond*float64(time.Second)) + time.Millisecond
}

func (r *rate) spend(n int) { r.room -= float64(n) }

// isFull says that nothing would be forgotten with r.
func (r *rate) isFull(now time.Time) bool {
	if r.perSecond == 0 {
		return true
	}
	r.refill(now)
	return r.room >= r.size()
}

// allowance is how many of want exports the lane may begin now, and if none,
// when to look again.
func (l *lane) allowance(t *target, want int) (n int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.rate.set(float64(t.limits.perMinute)/60/float64(l.e.hostsWith(t.conn.ConnectorType)), now)
	return l.rate.allows(want, now)
}

func (l *lane) spend(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate.spend(n)
}

// countHosts notes how many live hosts have each connector type: limits are for
// all of them together.
func (e *Engine) countHosts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	hosts, err := e.o.Store.ListHosts(ctx)
	if err != nil {
		return // the next heartbeat says that the database is away
	}
	counts := make(map[string]int)
	for _, host := range hosts {
		if host.StoppedAt == nil {
			for _, name := range host.ConnectorTypes {
				counts[name]++
			}
		}
	}
	e.peers.Store(&counts)
}

// hostsWith is how many hosts share the limits of a connector type's
// connections, at least one.
func (e *Engine) hostsWith(connectorType string) int {
	counts := e.peers.Load()
	if counts == nil {
		return 1
	}
	return max(1, (*counts)[connectorType])
}
