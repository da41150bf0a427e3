package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
)

// target lets a function be the target of a scan.
type target func(v any) error

// Scan implements sql.Scanner.
func (t target) Scan(v any) error { return t(v) }

// text reads text for which NULL is the empty string.
func text(s *string) target {
	return func(v any) error {
		switch v := v.(type) {
		case nil:
			*s = ""
		case string:
			*s = v
		default:
			return fmt.Errorf("text column holds %T", v)
		}
		return nil
	}
}

func moment(t *time.Time) target {
	return func(v any) error {
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("time column holds %T", v)
		}
		*t = time.UnixMicro(n).UTC()
		return nil
	}
}

func momentOrNil(t **time.Time) target {
	return func(v any) error {
		*t = nil
		if v == nil {
			return nil
		}
		*t = new(time.Time)
		return moment(*t)(v)
	}
}

func numberOrZero(n *int64) target {
	return func(v any) error {
		*n, _ = v.(int64)
		return nil
	}
}

// blob keeps NULL and empty apart, which the driver's slices do not.
func blob(b *[]byte) target {
	return func(v any) error {
		switch v := v.(type) {
		case nil:
			*b = nil
		case []byte:
			*b = append([]byte{}, v...)
		default:
			return fmt.Errorf("blob column holds %T", v)
		}
		return nil
	}
}

// fromJSON reads into a pointer to a map, slice or pointer; NULL leaves nil.
func fromJSON(into any) target {
	return func(v any) error {
		switch v := v.(type) {
		case nil:
			return nil
		case string:
			return json.Unmarshal([]byte(v), into)
		default:
			return fmt.Errorf("JSON column holds %T", v)
		}
	}
}

func hashInto(hash *[32]byte) target {
	return func(v any) error {
		raw, ok := v.([]byte)
		if !ok || len(raw) != len(hash) {
			return fmt.Errorf("hash column holds %T", v)
		}
		*hash = [32]byte(raw)
		return nil
	}
}

// Arguments.

func orNull[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

func textOrNull(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func idOrNull(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id.String()
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func microsOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

// orElse returns t, or other if t is not set.
func orElse(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

// bytesOrNull keeps nil and empty apart.
func bytesOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

func toJSON(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode JSON: %w", err)
	}
	return string(raw), nil
}

// jsonOrNull encodes a map or pointer; nil is NULL.
func jsonOrNull(v any, isNil bool) (any, error) {
	if isNil {
		return nil, nil
	}
	return toJSON(v)
}

// Rows.

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanner is one row.
type scanner interface {
	Scan(targets ...any) error
}

// all reads every row of a query.
func all[T any](ctx context.Context, q queryer, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// one reads the only row of a query; missing is the answer if there is none.
func one[T any](ctx context.Context, q queryer, missing *fault.Error, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	var zero T
	list, err := all(ctx, q, scan, query, args...)
	switch {
	case err != nil:
		return zero, err
	case len(list) == 0:
		return zero, missing
	default:
		return list[0], nil
	}
}

// exists answers a query for at most one row.
func exists(ctx context.Context, q queryer, query string, args ...any) (bool, error) {
	found, err := all(ctx, q, func(scanner) (struct{}, error) { return struct{}{}, nil }, query+" LIMIT 1", args...)
	return len(found) > 0, err
}

// connectionColumns are what scanConnection reads.
const connectionColumns = `c.id, c.org_id, c.connector_type, c.config_encrypted, c.seal_version, c.seal_key_id,
	c.status, c.last_test_at, c.health_state, c.health_code, c.health_reason, c.health_since, c.next_probe_at,
	c.probe_failures, c.created_at, c.updated_at`

func scanConnection(row scanner) (domain.Connection, error) {
	var c domain.Connection
	err := row.Scan(&c.ID, &c.OrgID, &c.ConnectorType, &c.Sealed.Blob, &c.Sealed.Version, &c.Sealed.KeyID,
		&c.Status, momentOrNil(&c.LastTestAt), &c.Health.State, text((*string)(&c.Health.Code)), text(&c.Health.Reason),
		momentOrNil(&c.Health.Since), momentOrNil(&c.Health.NextProbeAt), &c.Health.Failures,
		moment(&c.CreatedAt), moment(&c.UpdatedAt))
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

func scanExport(row scanner) (domain.Export, error) { return scanExportAnd(row) }

// scanExportAnd reads further columns, which follow exportColumns, into more.
func scanExportAnd(row scanner, more ...any) (domain.Export, error) {
	var e domain.Export
	var leaseHost *uuid.UUID
	var leaseExpires *time.Time
	targets := append([]any{
		&e.ID, &e.OrgID, &e.OrgSlug, &e.ConnectionID, &e.ConnectorType, &e.DraftOrderID,
		&e.ExternalOrderNumber, &e.FormatVersion, &e.Status, text(&e.StorageKey), numberOrZero(&e.PayloadSize),
		&e.PayloadSHA256, text(&e.DropzonePath), text(&e.ExternalRef), text(&e.ERPOrderID), fromJSON(&e.Metadata),
		fromJSON(&e.Error), text(&e.IdempotencyKey), &e.RetryOf, &e.AttemptCount, &e.FailureCount, &e.CrashCount,
		momentOrNil(&e.NextAttemptAt), blob(&e.Checkpoint), &leaseHost, momentOrNil(&leaseExpires),
		moment(&e.CreatedAt), moment(&e.UpdatedAt), momentOrNil(&e.SentAt), momentOrNil(&e.AckedAt),
	}, more...)
	if err := row.Scan(targets...); err != nil {
		return domain.Export{}, err
	}
	if leaseHost != nil && leaseExpires != nil {
		e.Lease = &domain.Lease{HostID: *leaseHost, ExpiresAt: *leaseExpires}
		e.NextAttemptAt = nil
	}
	return e, nil
}
