package main

import (
	"context"
	"errors"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/nwrfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/soap"
	"github.com/orderport/orderport/sdk"
)

// version is the connector's own version.
const version = "1.0.0"

// connector serves all connections of the process.
type connector struct {
	pools     pools
	libraries nwrfc.Libraries
	now       func() time.Time
	// pause waits, or returns early with the context's error.
	pause func(context.Context, time.Duration) error
	// transport returns the way to a connection's system: dial, unless a test
	// puts its own in.
	transport func(config) (rfc.Transport, error)
}

var _ sdk.Connector = (*connector)(nil)

func newConnector() *connector {
	c := &connector{now: time.Now, pause: pause}
	c.transport = c.dial
	return c
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Describe says that an export can be resumed, by its reference, but not that
// a stale attempt is harmless: SAP knows no condition on a create, so the host
// waits until the earlier attempt is over.
func (c *connector) Describe() sdk.Description {
	return sdk.Description{
		Type:           "SAP_RFC",
		Name:           "SAP (sales orders through RFC)",
		Version:        version,
		Vendor:         "Orderport",
		Summary:        "Creates each order as a sales order in SAP, through the SAP NetWeaver RFC library or SAP's RFC service over HTTPS.",
		ConfigSchema:   configSchema,
		FormatVersions: []string{sdk.FormatOrderflowJSONV1},
		Resume:         true,
		// As many as max_sessions allows at most: more would only queue here.
		Limits: sdk.Limits{MaxInFlightPerConnection: 64},
	}
}

// Export creates one sales order; README.md follows it.
func (c *connector) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	e, err := c.prepare(req)
	if err != nil {
		return sdk.ExportResult{}, inDoubt(req, err)
	}
	return e.deliver(ctx)
}

// prepare does what needs no SAP.
func (c *connector) prepare(req *sdk.ExportRequest) (*export, error) {
	cfg, err := decodeConfig(req.Connection)
	if err != nil {
		return nil, err
	}
	if req.FormatVersion != sdk.FormatOrderflowJSONV1 || len(req.Order.Lines) == 0 {
		return nil, sdk.Errorf(sdk.InvalidOrder, "the order has no lines, or is not in format %s", sdk.FormatOrderflowJSONV1)
	}
	p, err := c.pool(req.Connection, cfg)
	if err != nil {
		return nil, err
	}
	reference := newReference(req.ExportID, cfg.ReferenceField)
	order, err := mapOrder(cfg, &req.Order, reference)
	if err != nil {
		return nil, err
	}
	return &export{connector: c, req: req, cfg: cfg, pool: p, reference: reference, order: order}, nil
}

// inDoubt keeps a failure before an attempt's first step from being final
// where an earlier attempt may have created the order: final would say that
// SAP does not have it.
func inDoubt(req *sdk.ExportRequest, err error) error {
	var typed *sdk.Error
	if req.Resume.Checkpoint == nil || !errors.As(err, &typed) || typed.Retryable {
		return err
	}
	open := *typed
	open.Retryable = true
	return &open
}

func (c *connector) pool(conn sdk.Connection, cfg config) (*pool, error) {
	return c.pools.get(conn, func() (*pool, error) {
		t, err := c.transport(cfg)
		if err != nil {
			return nil, err
		}
		return newPool(t, cfg, c.now), nil
	})
}

// dial returns the transport that the config names. It does not connect.
func (c *connector) dial(cfg config) (rfc.Transport, error) {
	if cfg.Transport == transportSOAP {
		t, err := soap.New(soapOptions(cfg))
		if err != nil {
			return nil, sdk.Errorf(sdk.InvalidConfig, "%w", err)
		}
		return t, nil
	}
	return nwrfc.New(&c.libraries, cfg.LibraryPath, logonParameters(cfg)), nil
}

func soapOptions(cfg config) soap.Options {
	return soap.Options{
		URL: cfg.serviceURL(), Client: cfg.Client, Language: cfg.Language,
		User: cfg.User, Password: cfg.Password.Reveal(),
		CACertificate: cfg.CACertificate, Certificate: cfg.ClientCertificate, Key: cfg.ClientKey.Reveal(),
		DashedDates: cfg.SOAPDateFormat == "YYYY-MM-DD", Timeout: cfg.timeout(),
	}
}

// logonParameters are the connection parameters of the RFC library. Its trace
// is off: it would write orders and logon data to files.
func logonParameters(cfg config) map[string]string {
	all := map[string]string{
		"ASHOST": cfg.Ashost, "SYSNR": cfg.Sysnr, "CLIENT": cfg.Client, "LANG": cfg.Language,
		"USER": cfg.User, "PASSWD": cfg.Password.Reveal(), "ALIAS_USER": cfg.AliasUser,
		"X509CERT": cfg.X509Certificate.Reveal(), "MYSAPSSO2": cfg.SSOTicket.Reveal(),
		"MSHOST": cfg.Mshost, "MSSERV": cfg.Msserv, "R3NAME": cfg.R3name, "GROUP": cfg.Group,
		"SAPROUTER": cfg.Saprouter, "GWHOST": cfg.Gwhost, "GWSERV": cfg.Gwserv,
		"WSHOST": cfg.Wshost, "WSPORT": cfg.Wsport,
		"TLS_CLIENT_PSE": cfg.TLSClientPse, "TLS_SAPCRYPTOLIB": cfg.TLSSapcryptolib,
		"TRACE": "0",
	}
	if cfg.SNCMode {
		all["SNC_MODE"] = "1"
		all["SNC_QOP"], all["SNC_LIB"], all["SNC_SSO"] = cfg.SNCQop, cfg.SNCLib, cfg.SNCSSO
		all["SNC_MYNAME"], all["SNC_PARTNERNAME"] = cfg.SNCMyname, cfg.SNCPartnername
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}
