package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
)

// The reference is in an index, which SQLite rewrites whenever the column is
// named: so it is named only if it is to be set.
const (
	saveFields = `UPDATE erp_export SET
		checkpoint = COALESCE(?4, checkpoint),
		export_storage_key = COALESCE(?5, export_storage_key),
		payload_size = COALESCE(?6, payload_size),
		payload_sha256 = COALESCE(?7, payload_sha256),
		updated_at = ?8`
	whereFenced = ` WHERE id = ?1 AND lease_host_id = ?2 AND attempt_count = ?3`
	saveOnly    = saveFields + whereFenced
	saveWithRef = saveFields + `, external_ref = ?9` + whereFenced
)

// SaveAll implements store.Ledger.
func (s *Store) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if len(saves) == 0 {
		return nil, nil
	}
	errs := make([]error, len(saves))
	err := s.inTx(ctx, "save checkpoints", func(ctx context.Context, tx *sql.Tx) error {
		st := statements{tx: tx}
		now := micros(s.now())
		for i := range saves {
			held, err := save(ctx, &st, &saves[i], now)
			if err != nil {
				return err
			}
			if !held {
				errs[i] = store.ErrFenced
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

func save(ctx context.Context, st *statements, v *store.Save, now int64) (held bool, err error) {
	args := []any{v.ExportID.String(), v.HostID.String(), v.Attempt, bytesOrNull(v.Checkpoint), nil, nil, nil, now}
	if v.StorageKey != "" {
		args[4], args[5], args[6] = v.StorageKey, v.PayloadSize, bytesOrNull(v.PayloadSHA256)
	}
	query := saveOnly
	if v.ExternalRef != "" {
		query = saveWithRef
		args = append(args, v.ExternalRef)
	}
	n, err := st.exec(ctx, query, args...)
	return n == 1, err
}

// statements keeps the prepared statements of one transaction.
type statements struct {
	tx       *sql.Tx
	prepared map[string]*sql.Stmt
}

// exec returns how many rows were changed.
func (s *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt := s.prepared[query]
	if stmt == nil {
		var err error
		if stmt, err = s.tx.PrepareContext(ctx, query); err != nil {
			return 0, err
		}
		if s.prepared == nil {
			s.prepared = map[string]*sql.Stmt{}
		}
		s.prepared[query] = stmt
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// The ends of an attempt whose export is still PENDING. What the ack of a
// quick ERP has made of an export is kept by finishSettled.
const (
	finishCommon = `
		failure_count = failure_count + ?5, crash_count = crash_count + ?6,
		export_storage_key = COALESCE(?7, export_storage_key),
		payload_size = COALESCE(?8, payload_size),
		payload_sha256 = COALESCE(?9, payload_sha256),
		dropzone_path = COALESCE(?10, dropzone_path),
		external_ref = COALESCE(?11, external_ref),
		metadata = COALESCE(?12, metadata),
		lease_host_id = NULL, lease_expires_at = NULL, updated_at = ?4`
	finishPending = `UPDATE erp_export SET
		status = ?13, tried = ?13 = 'PENDING',
		error_json = CASE WHEN ?13 = 'PENDING' THEN COALESCE(?14, error_json) ELSE ?14 END,
		next_attempt_at = CASE WHEN ?13 <> 'PENDING' THEN NULL WHEN ?15 > 0 THEN ?4 + ?15 ELSE min(created_at, ?4) END,
		sent_at = CASE WHEN ?13 IN ('SENT', 'ACKED') THEN ?4 ELSE sent_at END,
		acked_at = CASE WHEN ?13 = 'ACKED' THEN ?4 ELSE acked_at END,
		erp_order_id = COALESCE(?16, erp_order_id),` + finishCommon + whereFenced + ` AND status = 'PENDING'`
	finishSettled = `UPDATE erp_export SET
		erp_order_id = COALESCE(erp_order_id, ?13),` + finishCommon + whereFenced + ` AND status <> 'PENDING'`
	endAttempt = `UPDATE export_attempt SET finished_at = ?3, outcome = ?4, error_json = ?5, recovered = ?6
		WHERE export_id = ?1 AND number = ?2`
)

// FinishAll implements store.Ledger.
func (s *Store) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	return s.finishAll(ctx, "finish attempts", finishes)
}

// Reclaim implements store.Ledger.
func (s *Store) Reclaim(ctx context.Context, finishes []store.Finish) ([]error, error) {
	return s.finishAll(ctx, "reclaim exports", finishes)
}

func (s *Store) finishAll(ctx context.Context, what string, finishes []store.Finish) ([]error, error) {
	if len(finishes) == 0 {
		return nil, nil
	}
	errs := make([]error, len(finishes))
	err := s.inTx(ctx, what, func(ctx context.Context, tx *sql.Tx) error {
		st := statements{tx: tx}
		now := s.now()
		for i := range finishes {
			held, err := finish(ctx, &st, &finishes[i], now)
			if err != nil {
				return err
			}
			if !held {
				errs[i] = store.ErrFenced
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

// finish ends one attempt; held is false if the fence does not hold.
func finish(ctx context.Context, st *statements, f *store.Finish, now time.Time) (held bool, err error) {
	errJSON, err := jsonOrNull(f.Error, f.Error == nil)
	if err != nil {
		return false, err
	}
	metadata, err := jsonOrNull(f.Metadata, f.Metadata == nil)
	if err != nil {
		return false, err
	}
	at, id := micros(now), f.ExportID.String()
	args := []any{
		id, f.HostID.String(), f.Attempt, at, f.CountsFailure, f.CountsCrash,
		orNull(f.StorageKey), nil, nil, orNull(f.DropzonePath), orNull(f.ExternalRef), metadata,
	}
	if f.StorageKey != "" {
		args[7], args[8] = f.PayloadSize, bytesOrNull(f.PayloadSHA256)
	}
	n, err := st.exec(ctx, finishPending, append(args, string(f.Status), errJSON, f.NextAttemptIn.Microseconds(), orNull(f.ERPOrderID))...)
	if err == nil && n == 0 {
		n, err = st.exec(ctx, finishSettled, append(args, orNull(f.ERPOrderID))...)
	}
	if err != nil {
		return false, err
	}
	if n == 0 {
		return endedBefore(ctx, st.tx, f)
	}
	_, err = st.exec(ctx, endAttempt, id, f.Attempt, at, string(f.Outcome), errJSON, f.Recovered)
	return true, err
}

// endedBefore reports whether the attempt ended as f would end it: a call
// before this one succeeded and its answer was lost.
func endedBefore(ctx context.Context, tx *sql.Tx, f *store.Finish) (bool, error) {
	return exists(ctx, tx, `SELECT 1 FROM export_attempt WHERE export_id = ? AND number = ? AND host_id = ? AND outcome = ?`,
		f.ExportID.String(), f.Attempt, f.HostID.String(), string(f.Outcome))
}

// Attempts implements store.Exports.
func (s *Store) Attempts(ctx context.Context, orgID, exportID uuid.UUID) ([]domain.Attempt, error) {
	if _, err := s.Export(ctx, orgID, exportID); err != nil {
		return nil, err
	}
	attempts, err := all(ctx, s.reader, func(row scanner) (a domain.Attempt, err error) {
		return a, row.Scan(&a.ExportID, &a.Number, &a.HostID, &a.HostName, moment(&a.StartedAt), momentOrNil(&a.FinishedAt),
			&a.Outcome, fromJSON(&a.Error), &a.Recovered)
	}, `SELECT export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered
		FROM export_attempt WHERE export_id = ? ORDER BY number`, exportID.String())
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return attempts, nil
}
