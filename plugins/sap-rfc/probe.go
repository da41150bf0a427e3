package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// noSuchReference is looked for in a test, as long as a reference of the field.
// No order has it: the 0 does not occur in one.
func noSuchReference(field string) string {
	return "OP0TESTNOSUCHORDER00"[:len(newReference("", field))]
}

// TestConnection goes the way of an order as far as that leaves nothing in
// SAP. It opens a session of its own, so that it tests the logon and not a
// session that is open already, and it logs on once.
func (c *connector) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	p := &probe{connector: c, steps: sdk.NewSteps(ctx)}
	defer p.close()
	p.run(req.Connection)
	return p.steps.Result()
}

// probe is one TestConnection.
type probe struct {
	connector *connector
	steps     *sdk.Steps
	cfg       config
	pool      *pool
	session   rfc.Session
}

func (p *probe) close() {
	if p.session != nil {
		p.session.Close()
	}
}

func (p *probe) run(conn sdk.Connection) {
	p.steps.Run("config", func(context.Context) (message string, err error) {
		if p.cfg, err = decodeConfig(conn); err != nil {
			return "", err
		}
		p.pool, err = p.connector.pool(conn, p.cfg)
		return "transport " + p.cfg.Transport, err
	})
	if p.steps.Err() == nil {
		p.library()
	}
	if p.steps.Err() == nil {
		p.logon()
	}
	if p.steps.Err() != nil {
		return
	}
	p.step("ping", "call RFC_PING", func(ctx context.Context) (string, error) {
		return "SAP answers", p.session.Ping(ctx)
	})
	p.step("system", "ask for the system's id", p.system)
	p.step("metadata", "ask for the functions' parameters", p.metadata)
	p.step("authority", "call the functions that create orders", p.authority)
	p.step("lookup", "look for an order", p.lookup)
}

// step runs a step within the config's timeout.
func (p *probe) step(name, doing string, run func(context.Context) (string, error)) {
	p.steps.Run(name, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, p.cfg.timeout())
		defer cancel()
		message, err := run(ctx)
		return message, failure(doing, err)
	})
}

// library tells which RFC library is used, where one is.
func (p *probe) library() {
	if t, ok := p.pool.transport.(interface{ Version() (string, error) }); ok {
		p.step("library", "load the SAP NetWeaver RFC library", func(context.Context) (string, error) {
			version, err := t.Version()
			return "SAP NetWeaver RFC library " + version, err
		})
	}
}

// logon opens the session. SAP does both in one, so the error tells how far it
// came.
func (p *probe) logon() {
	var logon error
	p.step("open", "reach SAP", func(ctx context.Context) (string, error) {
		var err error
		p.session, err = p.pool.open(ctx)
		if rfc.Is(err, rfc.LogonRefused) || rfc.Is(err, rfc.NotAuthorized) {
			logon, err = err, nil
		}
		return "reached " + p.cfg.address(), err
	})
	p.step("logon", "log on", func(context.Context) (string, error) {
		return "logged on to client " + p.cfg.Client, logon
	})
}

func (p *probe) system(ctx context.Context) (string, error) {
	reply, err := p.session.Call(ctx, rfc.Call{Function: "RFC_SYSTEM_INFO"})
	if err != nil && !rfc.As(err).Broken {
		return fmt.Sprintf("SAP does not tell (%v); a change of system will be noticed by its address only", err), nil
	}
	info := reply.Structures["RFCSI_EXPORT"]
	return fmt.Sprintf("system %s, release %s, host %s", info["RFCSYSID"], info["RFCSAPRL"], info["RFCHOST"]), err
}

// functions are what an export calls.
func (p *probe) functions() []string {
	create := []string{createBAPI, rfc.CommitFunction, rfc.RollbackFunction}
	if p.cfg.CreateFunction != "" {
		create = []string{p.cfg.CreateFunction}
	}
	read := map[string]string{
		lookupGetlist: getlistBAPI, lookupReadTable: readTable, lookupFunction: p.cfg.LookupFunction,
	}
	return append(create, read[p.cfg.Lookup])
}

func (p *probe) metadata(ctx context.Context) (string, error) {
	if !p.pool.transport.Describe().Metadata {
		return "not available over the RFC service: what does not fit shows with the first order", nil
	}
	for _, name := range p.functions() {
		f, err := p.session.Function(ctx, name)
		if err != nil {
			return "", failure("ask for the parameters of "+name, err)
		}
		if name == p.functions()[0] {
			if err := p.checkCreate(f); err != nil {
				return "", err
			}
		}
	}
	return "found " + strings.Join(p.functions(), ", "), nil
}

// checkCreate checks that the reference has a field that holds it.
func (p *probe) checkCreate(f rfc.Function) error {
	field, ok := f.Parameters["ORDER_HEADER_IN"].Fields[p.cfg.ReferenceField]
	if _, numbered := f.Parameters["SALESDOCUMENT"]; !ok || !numbered {
		return sdk.Errorf(sdk.InvalidConfig, "%s lacks ORDER_HEADER_IN-%s or SALESDOCUMENT: it must have the parameters of %s", f.Name, p.cfg.ReferenceField, createBAPI)
	}
	if need := len(newReference("", p.cfg.ReferenceField)); field.Length < need {
		return sdk.Errorf(sdk.InvalidConfig, "ORDER_HEADER_IN-%s holds %d characters, and the reference has %d", p.cfg.ReferenceField, field.Length, need)
	}
	return nil
}

// authority calls the create function as a test run without a customer or
// items. SAP refuses that in RETURN, which shows that the user may call it.
// Whether the user may create an order of this type and sales area shows only
// with one.
func (p *probe) authority(ctx context.Context) (string, error) {
	if err := (&export{cfg: p.cfg, pool: p.pool}).refuseToCreate(); err != nil {
		return "", err
	}
	if p.cfg.CreateFunction == "" {
		// First of all: the session has done nothing yet that this could save.
		if err := p.session.Commit(ctx); err != nil {
			return "", failure("call "+rfc.CommitFunction, err)
		}
	}
	call := rfc.Call{
		Function: p.functions()[0], Values: map[string]string{"TESTRUN": "X"},
		Structures: map[string]rfc.Structure{"ORDER_HEADER_IN": {"DOC_TYPE": p.cfg.DocType}},
		Tables:     map[string][]rfc.Structure{"ORDER_PARTNERS": {}, "RETURN": {}},
	}
	reply, err := p.session.Call(ctx, call)
	if err != nil {
		return "", err
	}
	if p.cfg.CreateFunction == "" {
		if err := p.session.Rollback(ctx); err != nil {
			return "", failure("call "+rfc.RollbackFunction, err)
		}
	}
	rows, ok := reply.Tables["RETURN"]
	if number := reply.Values["SALESDOCUMENT"]; !initial(number) {
		return "", sdk.Errorf(sdk.InvalidConfig, "%s gave a number (%s) to a test run without a customer: it must pass TESTRUN on to %s", call.Function, number, createBAPI)
	}
	if !ok {
		return "", sdk.Errorf(sdk.InvalidConfig, "%s returned no table RETURN: it must have the parameters of %s", call.Function, createBAPI)
	}
	if first, bad := newMessages(rows).failure(); bad {
		return fmt.Sprintf("may be called; it refused the empty test order as it should: %s", first), nil
	}
	return "may be called; a test run said nothing against an empty order", nil
}

// lookup looks for an order that does not exist: SAP has to say so clearly.
func (p *probe) lookup(ctx context.Context) (string, error) {
	customer := p.cfg.TestCustomer
	if customer == "" {
		customer = p.cfg.DefaultCustomer
	}
	if p.cfg.CustomerNumberForm == "alpha" {
		customer = alpha(customer, 10)
	}
	numbers, err := find(ctx, p.session, p.cfg, search{reference: noSuchReference(p.cfg.ReferenceField), customer: customer, salesOrg: p.cfg.SalesOrg})
	var open *unsure
	switch {
	case errors.As(err, &open) && customer == "" && p.cfg.Lookup == lookupGetlist:
		return "may be called; enter a test_customer to see what it answers about a customer without such an order. Without a customer: " + open.why, nil
	case errors.As(err, &open):
		return "", sdk.Errorf(sdk.InvalidConfig, "an order that is not there is not clearly told from one that is: %s", open.why)
	case err != nil:
		return "", err
	case len(numbers) > 0:
		return "", sdk.Errorf(sdk.InvalidConfig, "the look-up found %s for a reference that no order has", strings.Join(slices.Compact(numbers), ", "))
	default:
		return "SAP says clearly that an order is not there", nil
	}
}
