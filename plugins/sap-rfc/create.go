package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/sdk"
)

// create creates the order. Nothing of an earlier attempt is in SAP or can get
// there any more.
func (e *export) create(ctx context.Context) (sdk.ExportResult, error) {
	call, err := e.fitted(ctx)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	if err := e.store(ctx, call); err != nil {
		return sdk.ExportResult{}, err
	}
	// The deadline is in the checkpoint: after it nothing of this attempt is
	// sent to SAP any more.
	until := e.connector.now().Add(2 * e.cfg.timeout())
	bounded, cancel := context.WithTimeout(ctx, 2*e.cfg.timeout())
	defer cancel()
	cp := checkpoint{
		Stage: creating, Reference: e.reference, ReferenceField: e.cfg.ReferenceField, System: e.system,
		Customer: e.order.customer, SalesOrg: e.cfg.SalesOrg, Until: until,
	}
	if err := checkpoints.Save(ctx, e.req, cp, cp.Reference); err != nil {
		return sdk.ExportResult{}, err
	}
	numbers, unread, err := e.save(bounded, &cp, call)
	switch {
	case err != nil:
		return sdk.ExportResult{}, err
	case len(numbers) > 0:
		return e.matching(ctx, cp, numbers[0], false)
	}
	cp.Stage, cp.Errors = committed, e.rows.errors()
	if err := checkpoints.Save(ctx, e.req, cp, cp.Reference); err != nil {
		return sdk.ExportResult{}, err
	}
	if unread != nil {
		return sdk.ExportResult{}, unread
	}
	return e.confirm(ctx, cp, false)
}

// fitted is the call as the system wants it.
func (e *export) fitted(ctx context.Context) (rfc.Call, error) {
	call := e.order.call
	f, known := e.pool.knownFunction(call.Function)
	if !known && e.pool.transport.Describe().Metadata {
		if err := e.acquire(ctx); err != nil {
			return rfc.Call{}, err
		}
		defer e.release()
		var err error
		if f, err = e.pool.function(ctx, e.session, call.Function); err != nil {
			e.clean = !rfc.As(err).Broken
			return rfc.Call{}, failure("ask SAP for the parameters of "+call.Function, err)
		}
		known = true
	}
	if !known {
		return call, nil
	}
	call, unflagged, err := fit(call, f)
	e.unflagged = unflagged
	return call, inDoubt(e.req, err)
}

// save creates, commits and reads back, all in one session. An error says that
// SAP has not confirmed the commit; unread is why it could not be asked
// afterwards.
func (e *export) save(ctx context.Context, cp *checkpoint, call rfc.Call) (numbers []string, unread, err error) {
	if err := e.acquire(ctx); err != nil {
		return nil, nil, e.withdraw(ctx, *cp, err)
	}
	defer e.release()
	if e.cfg.CreateFunction != "" {
		err = e.createInOneCall(ctx, cp, call)
	} else {
		err = e.createAndCommit(ctx, cp, call)
	}
	if err != nil {
		return nil, nil, err
	}
	numbers, unread = e.find(ctx, *cp)
	return numbers, unread, nil
}

// createAndCommit calls the BAPI and commits, in this one session. It returns
// nil once SAP has confirmed the commit.
func (e *export) createAndCommit(ctx context.Context, cp *checkpoint, call rfc.Call) error {
	e.clean = false
	reply, err := e.call(ctx, call)
	if err != nil {
		return e.notCreated(ctx, *cp, "create the sales order", err)
	}
	if err := e.evaluate(reply); err != nil {
		if !e.rollback(ctx) {
			// Closing the session drops the work as surely.
			e.clean = false
		}
		return e.rejected(ctx, *cp, err)
	}
	cp.Document = reply.Values["SALESDOCUMENT"]
	if cp.Errors = e.rows.errors(); len(cp.Errors) > 0 {
		// What is missing of the order is known only now.
		if err := checkpoints.Save(ctx, e.req, *cp, cp.Reference); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancel()
	if err := e.session.Commit(ctx); err != nil {
		return e.notCommitted(ctx, *cp, err)
	}
	e.clean = true
	return nil
}

func (e *export) call(ctx context.Context, call rfc.Call) (rfc.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancel()
	return e.session.Call(ctx, call)
}

// rollback drops what the session has prepared, and says whether SAP has
// confirmed it.
func (e *export) rollback(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.timeout())
	defer cancel()
	e.clean = e.session.Rollback(ctx) == nil
	return e.clean
}

// notCreated handles a create that gave no answer. Without a commit nothing of
// it should be in SAP, but an enhancement in there may commit by itself, so
// only what certainly did not run is taken back.
func (e *export) notCreated(ctx context.Context, cp checkpoint, doing string, err error) error {
	known := rfc.As(err)
	if !known.Sent {
		e.clean = !known.Broken
		return e.withdraw(ctx, cp, failure(doing, err))
	}
	if known.Class == rfc.Raised && !known.Broken && e.cfg.CreateFunction == "" && e.rollback(ctx) {
		// The function itself has refused, and its work is rolled back.
		return caused(err, sdk.RejectedByERP, "SAP refused the order: %s", known)
	}
	return failure(doing+", and whether SAP has it is found out next", err)
}

// notCommitted handles a commit without a good answer: it may have saved the
// order.
func (e *export) notCommitted(ctx context.Context, cp checkpoint, err error) error {
	e.clean = false
	if !rfc.As(err).Sent {
		return e.withdraw(ctx, cp, failure("commit the sales order", err))
	}
	return failure("commit the sales order, and whether SAP has saved it is found out next", err)
}

// createInOneCall calls the function that creates and commits by itself. What
// it says about a failure is checked: it promises more than SAP's own BAPI.
func (e *export) createInOneCall(ctx context.Context, cp *checkpoint, call rfc.Call) error {
	e.clean = false
	reply, err := e.call(ctx, call)
	if err != nil {
		return e.notCreated(ctx, *cp, "create the sales order", err)
	}
	e.clean = true
	refusal := e.evaluate(reply)
	number := reply.Values["SALESDOCUMENT"]
	if refusal == nil {
		cp.Document = number
		return nil
	}
	found, err := e.find(ctx, *cp)
	switch {
	case err != nil:
		return err
	case len(found) > 0:
		cp.Document = found[0]
		return nil
	case !initial(number):
		// It had got as far as the commit.
		return failure("create the sales order", &rfc.Error{
			Class: rfc.Refused, Sent: true, Message: fmt.Sprintf("SAP gave the number %s and reported an error, and the order is not there yet: %s", number, refusal),
		})
	default:
		return e.rejected(ctx, *cp, refusal)
	}
}

// refusedOrder is SAP's no to an order.
type refusedOrder struct{ reason message }

func (e *refusedOrder) Error() string { return e.reason.String() }

// evaluate decides by RETURN whether there is something to commit. "has been
// saved" among the rows comes before the commit and proves nothing.
func (e *export) evaluate(reply rfc.Reply) error {
	e.rows = newMessages(reply.Tables["RETURN"])
	_, returned := reply.Tables["RETURN"]
	first, bad := e.rows.failure()
	numbered := !initial(reply.Values["SALESDOCUMENT"])
	switch {
	case numbered && bad && !e.rows.aborted() && e.cfg.BehaveWhenError == "save_incomplete":
		return nil
	case bad:
		return &refusedOrder{first}
	case !returned || !numbered:
		return &refusedOrder{message{Type: "E", Text: "SAP returned neither a document number nor a reason"}}
	default:
		return nil
	}
}

// rejected ends an attempt that SAP has refused and that has left nothing
// there. A lock passes, so the next attempt starts afresh.
func (e *export) rejected(ctx context.Context, cp checkpoint, err error) error {
	var no *refusedOrder
	if !errors.As(err, &no) {
		return err
	}
	if lock, ok := e.rows.passing(e.cfg.RetryableMessages); ok {
		locked := later("SAP could not take the order now: %s", lock)
		locked.Details = e.rows.details()
		return e.withdraw(ctx, cp, locked)
	}
	rejection := sdk.Errorf(sdk.RejectedByERP, "SAP refused the order: %s", no.reason)
	rejection.Details = e.rows.details()
	return rejection
}

// withdraw takes an announced step back before the attempt ends with reason,
// so that the next one need not wait for it.
func (e *export) withdraw(ctx context.Context, cp checkpoint, reason error) error {
	cp.Stage, cp.Document, cp.Errors = withdrawn, "", nil
	if err := checkpoints.Save(context.WithoutCancel(ctx), e.req, cp, ""); err != nil {
		return err
	}
	return reason
}
