package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
)

// scenery is a store with one connection and some hosts.
type scenery struct {
	exportStore
	conn  domain.Connection
	hosts []domain.HostNode
}

func (s scenery) Connection(context.Context, uuid.UUID, uuid.UUID) (domain.Connection, error) {
	return s.conn, nil
}
func (s scenery) ListHosts(context.Context) ([]domain.HostNode, error) { return s.hosts, nil }

func TestWhatAnExportWaitsFor(t *testing.T) {
	t.Parallel()
	present, later := now(), now().Add(time.Hour)
	host := domain.HostNode{ConnectorTypes: []string{"A_V1"}, HeartbeatAt: present}
	other, silent, stopped := host, host, host
	other.ConnectorTypes = []string{"B_V1"}
	silent.HeartbeatAt = present.Add(-time.Minute)
	stopped.StoppedAt = &present
	active := domain.Connection{Status: domain.Active}
	down := active
	down.Health = domain.Health{State: domain.Down, Code: "UNREACHABLE", Reason: "no route", Since: &present}
	pending := domain.Export{Status: domain.Pending, ConnectorType: "A_V1"}
	retried, sent := pending, pending
	retried.NextAttemptAt = &later
	sent.Status = domain.Sent
	under := []domain.Attempt{{Number: 1, Outcome: domain.OutcomeLost}, {Number: 2, Outcome: domain.OutcomeRunning}}
	for _, tc := range []struct {
		name     string
		export   domain.Export
		conn     domain.Connection
		attempts []domain.Attempt
		hosts    []domain.HostNode
		want     string // in the answer; "": no answer
	}{
		{"no host was ever there", pending, active, nil, nil, "none is running"},
		{"the hosts have ended", pending, active, nil, []domain.HostNode{silent, stopped}, "none is running"},
		{"no host has the connector", pending, active, nil, []domain.HostNode{other, stopped}, "A_V1: no running host has it"},
		{"the connection is disabled", pending, domain.Connection{Status: domain.Disabled}, nil, []domain.HostNode{host}, "DISABLED"},
		{"it is under way", retried, down, under, []domain.HostNode{host}, "attempt 2"},
		{"the connection is down", retried, down, under[:1], []domain.HostNode{host}, ": UNREACHABLE: no route"},
		{"it is tried later", retried, active, under[:1], []domain.HostNode{host}, "next attempt, at "},
		{"nothing is missing", pending, active, nil, []domain.HostNode{other, host}, "its turn"},
		{"it is sent", sent, down, nil, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			exports := Exports{store: scenery{conn: tc.conn, hosts: tc.hosts}, liveness: liveness(5 * time.Second)}
			got, err := exports.waitsFor(t.Context(), tc.export, tc.attempts)
			if err != nil || (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q (%v), want %q", got, err, tc.want)
			}
		})
	}
}

func TestAHostIsAliveForAsLongAsItsHeartbeatsMayTake(t *testing.T) {
	t.Parallel()
	silent := []domain.HostNode{{HeartbeatAt: now().Add(-time.Minute)}}
	if alive := liveness(5 * time.Second).running(silent); len(alive) != 0 {
		t.Errorf("after 5 s and more: %v", alive)
	}
	if alive := liveness(10 * time.Minute).running(silent); len(alive) != 1 {
		t.Errorf("before 10 min: %v", alive)
	}
}
