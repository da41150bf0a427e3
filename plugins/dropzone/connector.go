package main

import (
	"context"
	"errors"
	"time"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/hands"
)

// version is the connector's own version; scripts/build sets it.
var version = "1.0.0"

// maxPayload bounds one file. An order of 10,000 lines has a few megabytes.
const maxPayload = 32 << 20

// connector serves all connections of the process.
type connector struct {
	pools  pools
	rounds rounds     // in directories of this machine
	hands  hands.Pool // for exports to other targets
	unread unreadable
	now    func() time.Time
	// open returns where a connection's files go: target, unless a test puts
	// faults in between.
	open func(sdk.Connection, config) (target, error)
}

var (
	_ sdk.Connector = (*connector)(nil)
	_ sdk.AckSource = (*connector)(nil)
)

func newConnector() *connector {
	c := &connector{now: time.Now}
	c.open = c.target
	return c
}

// Describe says that an export can be resumed and that a stale attempt is
// harmless. Both hold with atomic_write off, too: no attempt creates a file on
// another one's checkpoint. What is lost there is certainty, so an export may
// end with OUTCOME_UNKNOWN.
func (c *connector) Describe() sdk.Description {
	return sdk.Description{
		Type:           "DROPZONE_JSON_V1",
		Name:           "Dropzone (JSON files)",
		Version:        version,
		Vendor:         "Orderport",
		Summary:        "Delivers each order as a JSON file over SFTP or into a directory, and reads the acks that the ERP leaves there.",
		ConfigSchema:   configSchema,
		FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		Resume:         true,
		Fenced:         true,
		Limits:         sdk.Limits{MaxPayloadBytes: maxPayload},
	}
}

// Export delivers one order; README.md follows it.
func (c *connector) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	e, err := c.prepare(req)
	if err != nil {
		return sdk.ExportResult{}, inDoubt(req, err)
	}
	return e.deliver(ctx)
}

// prepare does what needs no target.
func (c *connector) prepare(req *sdk.ExportRequest) (*export, error) {
	cfg, err := decodeConfig(req.Connection)
	if err != nil {
		return nil, err
	}
	if err := checkOrder(req); err != nil {
		return nil, err
	}
	data, err := mapOrder(req.Connection.OrgSlug, &req.Order)
	if err != nil {
		return nil, err
	}
	if len(data) > maxPayload {
		return nil, sdk.Errorf(sdk.InvalidOrder, "the order's file would have %d bytes; more than %d are not delivered", len(data), maxPayload)
	}
	t, err := c.open(req.Connection, cfg)
	if err != nil {
		return nil, err
	}
	return &export{
		req: req, cfg: cfg, target: publisherOf(t, &c.hands), data: data,
		dir:   place{"export_path", cfg.ExportPath},
		final: finalName(req.Order.ID, req.CreatedAt, req.ExportID),
	}, nil
}

// inDoubt keeps a failure before an attempt's first step from being final
// where an earlier attempt may have delivered: final would say that the ERP
// does not have the order.
func inDoubt(req *sdk.ExportRequest, err error) error {
	var typed *sdk.Error
	if req.Resume.Checkpoint == nil || !errors.As(err, &typed) || typed.Retryable {
		return err
	}
	open := *typed
	open.Retryable = true
	return &open
}

// target returns where the connection's files go. Sessions are shared with the
// connection's other calls.
func (c *connector) target(conn sdk.Connection, cfg config) (target, error) {
	if cfg.Mode == modeFilesystem {
		return newFilesystem(cfg, &c.rounds), nil
	}
	p, err := c.pools.get(conn, cfg)
	if err != nil {
		return nil, err
	}
	return newSFTPTarget(cfg, p), nil
}
