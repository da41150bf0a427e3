package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/domain"
)

// capabilities are what a connector said it can do.
type capabilities struct {
	acks, resume, fenced bool
}

func capabilitiesOf(d *connectorv1.DescribeResponse) capabilities {
	has := func(c connectorv1.Capability) bool { return slices.Contains(d.GetCapabilities(), c) }
	return capabilities{
		acks:   has(connectorv1.Capability_CAPABILITY_ACKS),
		resume: has(connectorv1.Capability_CAPABILITY_RESUME),
		fenced: has(connectorv1.Capability_CAPABILITY_FENCED),
	}
}

// target is a connection as a lane serves it: its row, its open config and its
// connector, as they were at one moment. It does not change.
type target struct {
	conn   domain.Connection
	config []byte // in the clear; nil if configErr is set
	// configErr says why the config does not open.
	configErr error
	port      connector.Port
	describe  *connectorv1.DescribeResponse
	caps      capabilities
	limits    limits
	own       limits // those of the config
	read      time.Time
}

// target reads a connection and what is needed to serve it. old, if there is
// one, saves decrypting a config that is the same.
func (e *Engine) target(ctx context.Context, conn domain.Connection, old *target) (*target, error) {
	p, err := e.o.Registry.Get(conn.ConnectorType)
	if err != nil {
		return nil, fmt.Errorf("find connector: %w", err)
	}
	t := &target{conn: conn, port: p, describe: p.Describe(), read: time.Now()}
	t.caps = capabilitiesOf(t.describe)
	if old != nil && old.configErr == nil && slices.Equal(old.conn.Sealed.Blob, conn.Sealed.Blob) {
		t.config, t.own = old.config, old.own
	} else {
		t.config, t.configErr = e.o.OpenConfig(conn)
		t.own = configLimits(t.config)
	}
	t.limits = limitsOf(t.describe, t.own)
	return t, nil
}

// with returns a copy whose circuit is in another state.
func (t *target) with(h domain.Health) *target {
	changed := *t
	changed.conn.Health = h
	return &changed
}

// concurrency is how many exports may run over the connection at one time on
// this host, if so many share its limit.
func (t *target) concurrency(standard, hosts int) int {
	if limit := t.limits.inFlight; limit > 0 {
		return min(standard, max(1, limit/hosts))
	}
	return standard
}

func (t *target) writes(format string) bool {
	return slices.Contains(t.describe.GetExportFormatVersions(), format)
}
