package delivery

import (
	"testing"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

func TestTheNarrowerLimitOfConnectorAndConfigHolds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		connector *connectorv1.Limits
		config    string
		want      limits
	}{
		{"none", nil, `{}`, limits{}},
		{"the connector's", &connectorv1.Limits{MaxInFlightPerConnection: 4, MaxPerMinutePerConnection: 60}, `{}`, limits{4, 60}},
		{"the config's", nil, `{"max_in_flight": 2, "max_per_minute": 30}`, limits{2, 30}},
		{"the narrower", &connectorv1.Limits{MaxInFlightPerConnection: 4, MaxPerMinutePerConnection: 60}, `{"max_in_flight": 8, "max_per_minute": 30}`, limits{4, 30}},
		{"half an export is one", nil, `{"max_in_flight": 0.5}`, limits{1, 0}},
		{"nonsense is none", nil, `{"max_in_flight": -3, "max_per_minute": 1e300}`, limits{}},
		{"another type is none", nil, `{"max_in_flight": "3", "max_per_minute": 5}`, limits{}},
	} {
		got := limitsOf(&connectorv1.DescribeResponse{Limits: tc.connector}, configLimits([]byte(tc.config)))
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestHostsShareALimit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ limit, hosts, want int }{
		{0, 3, 256}, {6, 1, 6}, {6, 3, 2}, {6, 4, 1}, {2, 3, 1}, {1000, 1, 256},
	} {
		if got := (&target{limits: limits{inFlight: tc.limit}}).concurrency(256, tc.hosts); got != tc.want {
			t.Errorf("a limit of %d over %d hosts: %d, want %d", tc.limit, tc.hosts, got, tc.want)
		}
	}
}

// begun counts the exports that begin in a stretch of time if there are always
// more to begin, looked at every millisecond.
func begun(r *rate, from time.Time, long time.Duration) (n int) {
	for at := from; at.Before(from.Add(long)); at = at.Add(time.Millisecond) {
		allowed, wait := r.allows(100, at)
		if (allowed == 0) != (wait > 0) {
			return -1
		}
		r.spend(allowed)
		n += allowed
	}
	return n
}

func TestARateIsKeptOverAnyMinute(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, perMinute := range []int{1, 7, 60, 600, 12_000} {
		var r rate
		r.set(float64(perMinute)/60, start)
		first := begun(&r, start, time.Minute)
		second := begun(&r, start.Add(time.Minute), time.Minute)
		if most := perMinute + max(1, perMinute/240) + 1; first > most || first < perMinute || second > perMinute+1 || second < perMinute-1 {
			t.Errorf("%d a minute: %d began in the first one, %d in the second", perMinute, first, second)
		}
	}
}

func TestARateThatChangesStartsNoBurst(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var r rate
	if n, _ := r.allows(100, start); n != 100 || !r.isFull(start) {
		t.Errorf("%d of 100 may begin though there is no bound", n)
	}
	r.set(1, start)
	r.spend(1)
	r.set(100, start)
	if n, _ := r.allows(100, start); n != 0 {
		t.Errorf("%d began at once when the bound was lifted a little", n)
	}
	if r.isFull(start) || !r.isFull(start.Add(time.Second)) {
		t.Error("the bucket fills at another pace than said")
	}
	r.set(0, start)
	if n, _ := r.allows(100, start); n != 100 {
		t.Errorf("%d of 100 may begin though there is no bound any more", n)
	}
}
