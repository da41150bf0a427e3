package app

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/payload"
	"github.com/orderport/orderport/host/internal/store"
)

// MaxPage and DefaultPage bound lists.
const (
	MaxPage     = 500
	DefaultPage = 50
)

type exportStore interface {
	store.Exports
	ActiveConnection(ctx context.Context, orgID uuid.UUID, connectorType string) (domain.Connection, error)
	Connection(ctx context.Context, orgID, id uuid.UUID) (domain.Connection, error)
	ListHosts(ctx context.Context) ([]domain.HostNode, error)
}

// Payloads reads the exact bytes that were delivered.
type Payloads interface {
	Get(ctx context.Context, key string) (io.ReadCloser, payload.Object, error)
}

// Exports answers questions about exports and lets an operator decide about
// the failed ones.
type Exports struct {
	store    exportStore
	payloads Payloads
	waker    Waker
	liveness liveness
}

// ExportDetail is an export with its attempts, from first to last, and what it
// waits for, for a person; empty for one that does not wait.
type ExportDetail struct {
	Export   domain.Export
	Attempts []domain.Attempt
	WaitsFor string
}

// Get returns an export with all there is to say about it.
func (e *Exports) Get(ctx context.Context, actor Actor, id uuid.UUID) (ExportDetail, error) {
	if err := actor.Authorize(ReadExports); err != nil {
		return ExportDetail{}, err
	}
	export, err := e.store.Export(ctx, actor.OrgID, id)
	if err != nil {
		return ExportDetail{}, err
	}
	attempts, err := e.store.Attempts(ctx, actor.OrgID, id)
	if err != nil {
		return ExportDetail{}, err
	}
	waitsFor, err := e.waitsFor(ctx, export, attempts)
	return ExportDetail{export, attempts, waitsFor}, err
}

// List returns a page of exports from new to old, and the cursor of the next.
func (e *Exports) List(ctx context.Context, actor Actor, filter store.ExportFilter, page store.Page) ([]domain.Export, string, error) {
	if err := actor.Authorize(ReadExports); err != nil {
		return nil, "", err
	}
	page, err := checkPage(page)
	if err != nil {
		return nil, "", err
	}
	return e.store.ListExports(ctx, actor.OrgID, filter, page)
}

func checkPage(page store.Page) (store.Page, error) {
	if page.Limit == 0 {
		page.Limit = DefaultPage
	}
	if page.Limit < 1 || page.Limit > MaxPage {
		return page, fault.New(fault.Invalid, "invalid_request", "the request is not valid").
			WithField("limit", "must be 1 to %d", MaxPage)
	}
	return page, nil
}

// Payload is the bytes of an export.
type Payload struct {
	payload.Object
	Body io.ReadCloser
}

// OpenPayload opens an export's bytes; the caller closes them.
func (e *Exports) OpenPayload(ctx context.Context, actor Actor, id uuid.UUID) (Payload, error) {
	if err := actor.Authorize(ReadExports); err != nil {
		return Payload{}, err
	}
	export, err := e.store.Export(ctx, actor.OrgID, id)
	if err != nil {
		return Payload{}, err
	}
	if export.StorageKey == "" {
		return Payload{}, fault.New(fault.NotFound, "no_payload", "export %s has no payload yet", id).
			WithHint("there is one once an attempt has stored it")
	}
	body, object, err := e.payloads.Get(ctx, export.StorageKey)
	if err != nil {
		return Payload{}, err
	}
	if len(export.PayloadSHA256) > 0 && !bytes.Equal(export.PayloadSHA256, object.SHA256[:]) {
		_ = body.Close()
		return Payload{}, fault.New(fault.Unavailable, "payload_differs",
			"the stored payload of export %s is not the one that was recorded", id).
			WithHint("ask again if an attempt is under way; otherwise the payload store was changed: restore %s", export.StorageKey)
	}
	return Payload{Object: object, Body: body}, nil
}

// Retry makes a new export for the order of a FAILED one, over the
// organization's active connection of the same type.
func (e *Exports) Retry(ctx context.Context, actor Actor, id uuid.UUID) (domain.Export, error) {
	if err := actor.Authorize(RetryExport); err != nil {
		return domain.Export{}, err
	}
	failed, err := e.store.Export(ctx, actor.OrgID, id)
	if err != nil {
		return domain.Export{}, err
	}
	if failed.Status != domain.Failed {
		return domain.Export{}, fault.New(fault.Conflict, "not_failed", "export %s is %s; only a FAILED one can be retried", id, failed.Status)
	}
	conn, err := e.store.ActiveConnection(ctx, actor.OrgID, failed.ConnectorType)
	if err != nil {
		if fault.From(err).Kind == fault.NotFound {
			err = noActiveConnection(failed.ConnectorType)
		}
		return domain.Export{}, err
	}
	at := now()
	again := domain.Export{
		ID: uuid.New(), OrgID: actor.OrgID, ConnectionID: conn.ID, ConnectorType: conn.ConnectorType,
		DraftOrderID: failed.DraftOrderID, ExternalOrderNumber: failed.ExternalOrderNumber,
		FormatVersion: failed.FormatVersion, Status: domain.Pending, RetryOf: &id, CreatedAt: at, UpdatedAt: at,
	}
	entry := actor.entry(RetryExport, exportSubject(id), map[string]any{"new_export_id": again.ID})
	made, err := e.store.Retry(ctx, actor.OrgID, id, again, entry)
	if err != nil {
		return domain.Export{}, err
	}
	e.waker.Nudge(conn.ID)
	return made, nil
}

// Resolve records an operator's finding about an export whose outcome the host
// could not know: the ERP has the order (sent), or it does not.
func (e *Exports) Resolve(ctx context.Context, actor Actor, id uuid.UUID, sent bool) (domain.Export, error) {
	if err := actor.Authorize(ResolveExport); err != nil {
		return domain.Export{}, err
	}
	outcome := "failed"
	if sent {
		outcome = "sent"
	}
	entry := actor.entry(ResolveExport, exportSubject(id), map[string]any{"outcome": outcome})
	return e.store.Resolve(ctx, actor.OrgID, id, sent, entry)
}

func exportSubject(id uuid.UUID) string { return "export:" + id.String() }

// AuditLog reads the audit log.
type AuditLog struct {
	store store.Audit
}

// List returns a page of entries from new to old, and the cursor of the next.
func (l *AuditLog) List(ctx context.Context, actor Actor, page store.Page) ([]domain.AuditEntry, string, error) {
	if err := actor.Authorize(ReadAudit); err != nil {
		return nil, "", err
	}
	page, err := checkPage(page)
	if err != nil {
		return nil, "", err
	}
	return l.store.ListAudit(ctx, actor.OrgID, page)
}

// Wait returns an export once it is no longer PENDING, or as it is when giveUp
// is closed. It looks at once, and then every so often.
func (e *Exports) Wait(ctx context.Context, actor Actor, id uuid.UUID, giveUp <-chan struct{}, every time.Duration) (domain.Export, error) {
	if err := actor.Authorize(ReadExports); err != nil {
		return domain.Export{}, err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		export, err := e.store.Export(ctx, actor.OrgID, id)
		if err != nil || export.Status != domain.Pending {
			return export, err
		}
		select {
		case <-giveUp:
			return export, nil
		case <-ctx.Done():
			return export, ctx.Err()
		case <-tick.C:
		}
	}
}
