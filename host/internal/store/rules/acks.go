package rules

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/sdk/port"
)

// AckTarget is an export that an ack may be about, locked by the caller.
type AckTarget struct {
	ID           uuid.UUID
	OrgID        uuid.UUID
	DraftOrderID uuid.UUID
	ExternalRef  string
	Status       domain.ExportStatus
	ERPOrderID   string
	ErrorCode    port.Code // empty: no error
	CreatedAt    time.Time
	// OtherLive says that another export of the order is PENDING, SENT or
	// ACKED. It needs to be right only if Doubtful.
	OtherLive bool
}

// Doubtful says that it is not known whether the ERP has the order.
func (t *AckTarget) Doubtful() bool {
	return t.Status == domain.Failed && t.ErrorCode == port.OutcomeUnknown
}

// AckChange is what acks make of an export.
type AckChange struct {
	ID         uuid.UUID
	Status     domain.ExportStatus // ACKED or FAILED
	ERPOrderID string
	Error      *domain.ExportError
}

// AckPlan is what is to be written for a batch of acks.
type AckPlan struct {
	Verdicts []store.AckVerdict
	Changes  []AckChange // each export once
	Audits   []domain.AuditEntry
}

// PlanAcks decides each ack in turn; later acks see what earlier ones did.
func PlanAcks(acks []store.Ack, targets []AckTarget, actor string, now time.Time) (AckPlan, error) {
	byRef := make(map[string]*AckTarget, len(targets))
	for i := range targets {
		t := &targets[i]
		if best := byRef[t.ExternalRef]; best == nil || preferred(t, best) {
			byRef[t.ExternalRef] = t
		}
	}
	plan := AckPlan{Verdicts: make([]store.AckVerdict, len(acks))}
	changed := make(map[uuid.UUID]int)
	for i, ack := range acks {
		target := byRef[ack.ExternalRef]
		if target == nil || ack.ExternalRef == "" {
			plan.Verdicts[i] = store.AckUnmatched
			continue
		}
		plan.Verdicts[i] = judge(target, ack)
		switch plan.Verdicts[i] {
		case store.AckApplied:
			change := apply(target, ack)
			if at, twice := changed[target.ID]; twice {
				plan.Changes[at] = change
			} else {
				changed[target.ID] = len(plan.Changes)
				plan.Changes = append(plan.Changes, change)
			}
		case store.AckContrary:
			entry, err := contraryEntry(target, ack, actor, now)
			if err != nil {
				return AckPlan{}, err
			}
			plan.Audits = append(plan.Audits, entry)
		case store.AckRepeated, store.AckUnmatched:
			// nothing to write
		}
	}
	return plan, nil
}

// preferred says which of two exports with one reference an ack is about: one
// that is not FAILED, else the newer one.
func preferred(a, b *AckTarget) bool {
	if (a.Status == domain.Failed) != (b.Status == domain.Failed) {
		return b.Status == domain.Failed
	}
	return a.CreatedAt.After(b.CreatedAt)
}

func judge(t *AckTarget, ack store.Ack) store.AckVerdict {
	switch {
	case t.Status == domain.Pending || t.Status == domain.Sent:
		return store.AckApplied
	case ack.Positive && t.Status == domain.Acked:
		return judgeNumber(t.ERPOrderID, ack.ERPOrderID)
	case ack.Positive && t.Doubtful() && !t.OtherLive:
		return store.AckApplied
	case ack.Positive || t.Status == domain.Acked:
		return store.AckContrary
	case t.Doubtful():
		// The ERP's word ends the doubt.
		return store.AckApplied
	default:
		return store.AckRepeated
	}
}

// judgeNumber compares the ERP's order number with the one that is known.
func judgeNumber(known, said string) store.AckVerdict {
	switch {
	case said == "" || said == known:
		return store.AckRepeated
	case known == "":
		return store.AckApplied
	default:
		return store.AckContrary
	}
}

// apply changes the target, for later acks of the batch, and says what to write.
func apply(t *AckTarget, ack store.Ack) AckChange {
	if ack.Positive {
		t.Status, t.ErrorCode = domain.Acked, ""
		if ack.ERPOrderID != "" {
			t.ERPOrderID = ack.ERPOrderID
		}
		return AckChange{ID: t.ID, Status: domain.Acked, ERPOrderID: t.ERPOrderID}
	}
	t.Status, t.ErrorCode = domain.Failed, port.RejectedByERP
	return AckChange{ID: t.ID, Status: domain.Failed, ERPOrderID: t.ERPOrderID, Error: rejection(ack)}
}

func rejection(ack store.Ack) *domain.ExportError {
	e := &domain.ExportError{Code: port.RejectedByERP, Message: ack.Message}
	if e.Message == "" {
		e.Message = "the ERP rejected the order"
	}
	if ack.ErrorCode != "" {
		e.Details = map[string]string{"erp_error_code": ack.ErrorCode}
	}
	return e
}

func contraryEntry(t *AckTarget, ack store.Ack, actor string, now time.Time) (domain.AuditEntry, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.AuditEntry{}, fmt.Errorf("make an id: %w", err)
	}
	details, err := json.Marshal(map[string]any{
		"external_ref":   ack.ExternalRef,
		"status":         t.Status,
		"erp_order_id":   t.ERPOrderID,
		"said_positive":  ack.Positive,
		"said_order_id":  ack.ERPOrderID,
		"said_code":      ack.ErrorCode,
		"said_message":   ack.Message,
		"known_err_code": t.ErrorCode,
	})
	if err != nil {
		return domain.AuditEntry{}, fmt.Errorf("describe an ack: %w", err)
	}
	return domain.AuditEntry{
		ID: id, OrgID: t.OrgID, At: now, Actor: actor,
		Action: "export.ack_contrary", Subject: "export:" + t.ID.String(), Details: details,
	}, nil
}

// ResolvedAsFailed is the error of an export whose outcome was unknown, once
// somebody found that the ERP does not have the order.
func ResolvedAsFailed(e *domain.ExportError, actor string) *domain.ExportError {
	details := map[string]string{"resolved_by": actor}
	for k, v := range e.Details {
		if k != "resolved_by" {
			details[k] = v
		}
	}
	return &domain.ExportError{Code: port.RejectedByERP, Message: e.Message, Details: details}
}
