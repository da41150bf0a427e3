package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/orderport/orderport/host/internal/domain"
)

// text returns a target or argument for which NULL is the empty string.
func text(s *string) *zeronull.Text { return (*zeronull.Text)(s) }

func orNull[T ~string](s T) *string {
	if s == "" {
		return nil
	}
	v := string(s)
	return &v
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// jsonOrNull encodes a map or pointer; nil is NULL.
func jsonOrNull(v any, isNil bool) ([]byte, error) {
	if isNil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return raw, nil
}

func inUTC(times ...*time.Time) {
	for _, t := range times {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// connectionColumns are what scanConnection reads.
const connectionColumns = `c.id, c.org_id, c.connector_type, c.config_encrypted, c.seal_version, c.seal_key_id,
	c.status, c.last_test_at, c.health_state, c.health_code, c.health_reason, c.health_since, c.next_probe_at,
	c.probe_failures, c.created_at, c.updated_at`

func scanConnection(row pgx.CollectableRow) (domain.Connection, error) {
	var c domain.Connection
	err := row.Scan(&c.ID, &c.OrgID, &c.ConnectorType, &c.Sealed.Blob, &c.Sealed.Version, &c.Sealed.KeyID,
		(*string)(&c.Status), &c.LastTestAt, (*string)(&c.Health.State), text((*string)(&c.Health.Code)), text(&c.Health.Reason),
		&c.Health.Since, &c.Health.NextProbeAt, &c.Health.Failures, &c.CreatedAt, &c.UpdatedAt)
	inUTC(c.LastTestAt, c.Health.Since, c.Health.NextProbeAt, &c.CreatedAt, &c.UpdatedAt)
	return c, err
}

// exportColumns are what scanExport reads, of export e with its organization
// o, connection c and draft order d.
const exportColumns = `e.id, e.org_id, o.slug, e.erp_connection_id, c.connector_type, e.draft_order_id,
	d.external_order_number, e.export_format_version, e.status, e.export_storage_key, e.payload_size,
	e.payload_sha256, e.dropzone_path, COALESCE(e.running_ref, e.external_ref), e.erp_order_id, e.metadata, e.error_json, e.idempotency_key,
	e.retry_of, e.attempt_count, e.failure_count, e.crash_count, e.next_attempt_at, e.checkpoint, e.lease_host_id,
	e.lease_expires_at, e.created_at, e.updated_at, e.sent_at, e.acked_at`

// exportParents joins what exportColumns needs besides e.
const exportParents = `
	JOIN organization o ON o.id = e.org_id
	JOIN erp_connection c ON c.id = e.erp_connection_id
	JOIN draft_order d ON d.org_id = e.org_id AND d.id = e.draft_order_id`

func scanExport(row pgx.CollectableRow) (domain.Export, error) {
	return scanExportAnd(row)
}

// scanExportAnd reads further columns, which follow exportColumns, into more.
func scanExportAnd(row pgx.CollectableRow, more ...any) (domain.Export, error) {
	var e domain.Export
	var leaseHost *uuid.UUID
	var leaseExpires *time.Time
	targets := append([]any{
		&e.ID, &e.OrgID, &e.OrgSlug, &e.ConnectionID, &e.ConnectorType, &e.DraftOrderID,
		&e.ExternalOrderNumber, &e.FormatVersion, (*string)(&e.Status), text(&e.StorageKey), (*zeronull.Int8)(&e.PayloadSize),
		&e.PayloadSHA256, text(&e.DropzonePath), text(&e.ExternalRef), text(&e.ERPOrderID), &e.Metadata, &e.Error,
		text(&e.IdempotencyKey), &e.RetryOf, &e.AttemptCount, &e.FailureCount, &e.CrashCount, &e.NextAttemptAt,
		&e.Checkpoint, &leaseHost, &leaseExpires, &e.CreatedAt, &e.UpdatedAt, &e.SentAt, &e.AckedAt,
	}, more...)
	if err := row.Scan(targets...); err != nil {
		return domain.Export{}, err
	}
	if leaseHost != nil && leaseExpires != nil {
		e.Lease = &domain.Lease{HostID: *leaseHost, ExpiresAt: leaseExpires.UTC()}
		e.NextAttemptAt = nil
	}
	inUTC(e.NextAttemptAt, &e.CreatedAt, &e.UpdatedAt, e.SentAt, e.AckedAt)
	return e, nil
}
