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
		t.config = old.config
		return t, nil
	}
	t.config, t.configErr = e.o.OpenConfig(conn)
	return t, nil
}

// with returns a copy whose circuit is in another state.
func (t *target) with(h domain.Health) *target {
	changed := *t
	changed.conn.Health = h
	return &changed
}

// concurrency is how many exports may run over the connection at one time.
func (t *target) concurrency(standard int) int {
	if limit := int(t.describe.GetLimits().GetMaxInFlightPerConnection()); limit > 0 && limit < standard {
		return limit
	}
	return standard
}

func (t *target) writes(format string) bool {
	return slices.Contains(t.describe.GetExportFormatVersions(), format)
}
