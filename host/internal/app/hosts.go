package app

import (
	"slices"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
)

// clockTolerance is how far this machine's clock may be from the one that
// stamps heartbeats.
const clockTolerance = 5 * time.Second

// liveness is how long a silent host counts as alive: the setting
// host_dead_after.
type liveness time.Duration

// lost reports whether a host has been silent for longer.
func (l liveness) lost(h domain.HostNode) bool {
	return now().Sub(h.HeartbeatAt) > time.Duration(l)+clockTolerance
}

// running are the hosts that are alive.
func (l liveness) running(hosts []domain.HostNode) []domain.HostNode {
	return slices.DeleteFunc(slices.Clone(hosts), func(h domain.HostNode) bool {
		return h.StoppedAt != nil || l.lost(h)
	})
}

func has(connectorType string) func(domain.HostNode) bool {
	return func(h domain.HostNode) bool { return slices.Contains(h.ConnectorTypes, connectorType) }
}
