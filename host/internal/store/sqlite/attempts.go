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

// SQLite rewrites an index whose column is named in an update, even if it stays
// as it is. So claims and saves name none but the lease, and an order's live
// export is named only where it fails.
const (
	saveCheckpoint = `UPDATE erp_export SET
		checkpoint = COALESCE(?4, checkpoint),
		export_storage_key = COALESCE(?5, export_storage_key),
		payload_size = COALESCE(?6, payload_size),
		payload_sha256 = COALESCE(?7, payload_sha256),
		running_ref = COALESCE(?8, running_ref),
		updated_at = ?9` + whereFenced
	whereFenced = ` WHERE id = ?1 AND lease_host_id = ?2 AND attempt_count = ?3`
)

// SaveAll implements store.Ledger.
func (s *Store) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if len(saves) == 0 {
		return nil, nil
	}
	errs := make([]error, len(saves))
	err := s.inTx(ctx, "save checkpoints", func(ctx context.Context, tx *sql.Tx) error {
		now := micros(s.now())
		for i := range saves {
			held, err := save(ctx, tx, &saves[i], now)
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

func save(ctx context.Context, tx *sql.Tx, v *store.Save, now int64) (held bool, err error) {
	args := []any{v.ExportID.String(), v.HostID.String(), v.Attempt, bytesOrNull(v.Checkpoint), nil, nil, nil, orNull(v.ExternalRef), now}
	if v.StorageKey != "" {
		args[4], args[5], args[6] = v.StorageKey, v.PayloadSize, bytesOrNull(v.PayloadSHA256)
	}
	n, err := changed(tx.ExecContext(ctx, saveCheckpoint, args...))
	return n == 1, err
}

// changed is how many rows a statement has changed.
func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// The ends of an attempt: finishPending and finishFailed where its export is
// still PENDING, which are two so that only what fails is written to the index
// of live exports; finishSettled where the ack of a quick ERP has made something
// else of the export, which stays.
const (
	finishCommon = `
		failure_count = failure_count + ?5, crash_count = crash_count + ?6,
		export_storage_key = COALESCE(?7, export_storage_key),
		payload_size = COALESCE(?8, payload_size),
		payload_sha256 = COALESCE(?9, payload_sha256),
		dropzone_path = COALESCE(?10, dropzone_path),
		external_ref = COALESCE(?11, running_ref, external_ref), running_ref = NULL,
		metadata = COALESCE(?12, metadata),
		lease_host_id = NULL, lease_expires_at = NULL, updated_at = ?4,
		attempt_finished_at = ?4, attempt_outcome = ?13, attempt_error_json = ?14, attempt_recovered = ?15`
	finishPending = `UPDATE erp_export SET` + finishStatus + finishCommon + whereFenced + ` AND status = 'PENDING'`
	finishFailed  = `UPDATE erp_export SET live = 0,` + finishStatus + finishCommon + whereFenced + ` AND status = 'PENDING'`
	finishStatus  = `
		status = ?17, tried = ?17 = 'PENDING',
		error_json = CASE WHEN ?17 = 'PENDING' THEN COALESCE(?14, error_json) ELSE ?14 END,
		next_attempt_at = CASE WHEN ?17 <> 'PENDING' THEN NULL WHEN ?18 > 0 THEN ?4 + ?18 ELSE min(created_at, ?4) END,
		sent_at = CASE WHEN ?17 IN ('SENT', 'ACKED') THEN ?4 ELSE sent_at END,
		acked_at = CASE WHEN ?17 = 'ACKED' THEN ?4 ELSE acked_at END,
		erp_order_id = COALESCE(?16, erp_order_id),`
	finishSettled = `UPDATE erp_export SET
		erp_order_id = COALESCE(erp_order_id, ?16),` + finishCommon + whereFenced + ` AND status <> 'PENDING'`
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
		now := s.now()
		for i := range finishes {
			held, err := finish(ctx, tx, &finishes[i], now)
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
func finish(ctx context.Context, tx *sql.Tx, f *store.Finish, now time.Time) (held bool, err error) {
	errJSON, err := jsonOrNull(f.Error, f.Error == nil)
	if err != nil {
		return false, err
	}
	metadata, err := jsonOrNull(f.Metadata, f.Metadata == nil)
	if err != nil {
		return false, err
	}
	args := []any{
		f.ExportID.String(), f.HostID.String(), f.Attempt, micros(now), f.CountsFailure, f.CountsCrash,
		orNull(f.StorageKey), nil, nil, orNull(f.DropzonePath), orNull(f.ExternalRef), metadata,
		string(f.Outcome), errJSON, f.Recovered, orNull(f.ERPOrderID),
	}
	if f.StorageKey != "" {
		args[7], args[8] = f.PayloadSize, bytesOrNull(f.PayloadSHA256)
	}
	query := finishPending
	if f.Status == domain.Failed {
		query = finishFailed
	}
	n, err := changed(tx.ExecContext(ctx, query, append(args, string(f.Status), f.NextAttemptIn.Microseconds())...))
	if err == nil && n == 0 {
		n, err = changed(tx.ExecContext(ctx, finishSettled, args...))
	}
	if err == nil && n == 0 {
		return endedBefore(ctx, tx, f)
	}
	return err == nil, err
}

// endedBefore reports whether the attempt ended as f would end it: a call
// before this one succeeded and its answer was lost.
func endedBefore(ctx context.Context, tx *sql.Tx, f *store.Finish) (bool, error) {
	return exists(ctx, tx, `SELECT 1 FROM (`+selectAttempts+`) WHERE number = ?2 AND host_id = ?3 AND outcome = ?4`,
		f.ExportID.String(), f.Attempt, f.HostID.String(), string(f.Outcome))
}

// selectAttempts finds the attempts of an export, the newest of which is part
// of its row.
const selectAttempts = `
SELECT export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered
FROM export_attempt WHERE export_id = ?1
UNION ALL
SELECT id, attempt_count, attempt_host_id, attempt_host_name, attempt_started_at, attempt_finished_at,
	attempt_outcome, attempt_error_json, attempt_recovered
FROM erp_export WHERE id = ?1 AND attempt_outcome IS NOT NULL`

// Attempts implements store.Exports.
func (s *Store) Attempts(ctx context.Context, orgID, exportID uuid.UUID) ([]domain.Attempt, error) {
	if _, err := s.Export(ctx, orgID, exportID); err != nil {
		return nil, err
	}
	attempts, err := all(ctx, s.reader, func(row scanner) (a domain.Attempt, err error) {
		return a, row.Scan(&a.ExportID, &a.Number, &a.HostID, &a.HostName, moment(&a.StartedAt), momentOrNil(&a.FinishedAt),
			&a.Outcome, fromJSON(&a.Error), &a.Recovered)
	}, selectAttempts+` ORDER BY number`, exportID.String())
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return attempts, nil
}
