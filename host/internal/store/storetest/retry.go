package storetest

import (
	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/sdk/port"
)

var (
	rejected = &domain.ExportError{Code: port.RejectedByERP, Message: "no such customer"}
	unknown  = &domain.ExportError{Code: port.OutcomeUnknown, Message: "the connector died", Details: map[string]string{"stage": "rename"}}
)

var retryTests = map[string]func(w *World){
	"a retry is a new export; the old one stays": func(w *World) {
		failed := w.FailWith(rejected)
		retried := w.retry(failed.ID)
		want(w.T, "status", retried.Status, domain.Pending)
		want(w.T, "order", retried.DraftOrderID, failed.DraftOrderID)
		want(w.T, "retry of", *retried.RetryOf, failed.ID)
		want(w.T, "attempts", retried.AttemptCount, 0)
		want(w.T, "key", retried.IdempotencyKey, "")
		same(w.T, w.Get(failed.ID), failed)
		want(w.T, "claimed", w.Claim(1)[0].Export.ID, retried.ID)
		want(w.T, "audit entries", w.countAudit("export.retry"), 1)
	},
	"a retry may take another connection of the organization only": func(w *World) {
		failed := w.FailWith(rejected)
		foreign := w.NewConn(w.NewOrg().ID, connectorType)
		wantFault(w.T, w.retryOver(failed.ID, foreign.ID), fault.NotFound, "connection_not_found")
		sap := w.NewConn(w.Org.ID, "SAP_RFC")
		w.must(w.retryOver(failed.ID, sap.ID))
	},
	"a retry whose answer was lost may be repeated": func(w *World) {
		failed := w.FailWith(rejected)
		retry := w.retryRow(w.Conn.ID)
		first, err := w.S.Retry(w.Ctx, w.Org.ID, failed.ID, retry, w.audit(w.Org.ID, "export.retry"))
		w.must(err)
		again, err := w.S.Retry(w.Ctx, w.Org.ID, failed.ID, retry, w.audit(w.Org.ID, "export.retry"))
		w.must(err)
		same(w.T, again, first)
		want(w.T, "audit entries", w.countAudit("export.retry"), 1)
	},
	"only a failed export is retried": func(w *World) {
		pending := w.AcceptN(1)[0]
		wantFault(w.T, w.retryOver(pending.ID, w.Conn.ID), fault.Conflict, "not_failed")
		w.Finish(Delivered(w.Claim(1)[0].Export))
		wantFault(w.T, w.retryOver(pending.ID, w.Conn.ID), fault.Conflict, "not_failed")
	},
	"an order that is live already is not retried": func(w *World) {
		failed := w.FailWith(rejected)
		w.retry(failed.ID)
		wantFault(w.T, w.retryOver(failed.ID, w.Conn.ID), fault.Conflict, "export_live")
	},
	"eight retries at once make one export": func(w *World) {
		failed := w.FailWith(rejected)
		made := 0
		for _, err := range together(w.T, 8, func(int) error { return w.retryOver(failed.ID, w.Conn.ID) }) {
			if err == nil {
				made++
				continue
			}
			wantFault(w.T, err, fault.Conflict, "export_live")
		}
		want(w.T, "made", made, 1)
	},
	"an export whose outcome is unknown must be resolved first": func(w *World) {
		failed := w.FailWith(unknown)
		wantFault(w.T, w.retryOver(failed.ID, w.Conn.ID), fault.Conflict, "outcome_unknown")
	},
	"an older export is not retried while a later outcome is unknown": func(w *World) {
		first := w.FailWith(rejected)
		w.retry(first.ID)
		f := Ended(w.Claim(1)[0].Export, domain.OutcomeFailed, domain.Failed)
		f.Error = unknown
		w.Finish(f)
		wantFault(w.T, w.retryOver(first.ID, w.Conn.ID), fault.Conflict, "outcome_unknown")
	},
	"another organization's export is neither retried nor resolved": func(w *World) {
		failed := w.FailWith(unknown)
		other := w.NewOrg()
		_, err := w.S.Retry(w.Ctx, other.ID, failed.ID, w.retryRow(w.Conn.ID), w.audit(other.ID, "export.retry"))
		wantFault(w.T, err, fault.NotFound, "export_not_found")
		_, err = w.S.Resolve(w.Ctx, other.ID, failed.ID, true, w.audit(other.ID, "export.resolve"))
		wantFault(w.T, err, fault.NotFound, "export_not_found")
	},
	"resolved as sent, an export is SENT": func(w *World) {
		failed := w.FailWith(unknown)
		got, err := w.S.Resolve(w.Ctx, w.Org.ID, failed.ID, true, w.audit(w.Org.ID, "export.resolve"))
		w.must(err)
		want(w.T, "status", got.Status, domain.Sent)
		want(w.T, "error", got.Error, nil)
		want(w.T, "sent", got.SentAt != nil, true)
		same(w.T, w.Get(failed.ID), got)
		wantFault(w.T, w.retryOver(failed.ID, w.Conn.ID), fault.Conflict, "not_failed")
		want(w.T, "audit entries", w.countAudit("export.resolve"), 1)
	},
	"resolved as failed, an export can be retried": func(w *World) {
		failed := w.FailWith(unknown)
		got, err := w.S.Resolve(w.Ctx, w.Org.ID, failed.ID, false, w.audit(w.Org.ID, "export.resolve"))
		w.must(err)
		want(w.T, "status", got.Status, domain.Failed)
		want(w.T, "code", got.Error.Code, port.RejectedByERP)
		want(w.T, "resolved by", got.Error.Details["resolved_by"], "cli:test")
		want(w.T, "other details", got.Error.Details["stage"], "rename")
		w.retry(failed.ID)
	},
	"only an unknown outcome is resolved": func(w *World) {
		failed, sent := w.FailWith(rejected), w.Deliver(1)[0]
		for _, id := range []uuid.UUID{failed.ID, sent.ID} {
			for _, asSent := range []bool{true, false} {
				_, err := w.S.Resolve(w.Ctx, w.Org.ID, id, asSent, w.audit(w.Org.ID, "export.resolve"))
				wantFault(w.T, err, fault.Conflict, "not_unknown")
			}
		}
		want(w.T, "audit entries", w.countAudit("export.resolve"), 0)
	},
}

func (w *World) retryRow(connectionID uuid.UUID) domain.Export {
	return domain.Export{ID: uuid.New(), OrgID: w.Org.ID, ConnectionID: connectionID, FormatVersion: domain.FormatVersion, CreatedAt: now()}
}

func (w *World) retryOver(failedID, connectionID uuid.UUID) error {
	_, err := w.S.Retry(w.Ctx, w.Org.ID, failedID, w.retryRow(connectionID), w.audit(w.Org.ID, "export.retry"))
	return err
}

func (w *World) retry(failedID uuid.UUID) domain.Export {
	w.T.Helper()
	e, err := w.S.Retry(w.Ctx, w.Org.ID, failedID, w.retryRow(w.Conn.ID), w.audit(w.Org.ID, "export.retry"))
	w.must(err)
	return e
}
