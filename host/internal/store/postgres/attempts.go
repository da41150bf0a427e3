package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/store"
	"github.com/orderport/orderport/host/internal/store/rules"
)

// saveBatch changes no indexed column, see running_ref in the schema.
const saveBatch = `
UPDATE erp_export e SET
	checkpoint = COALESCE(s.checkpoint, e.checkpoint),
	running_ref = COALESCE(s.external_ref, e.running_ref),
	export_storage_key = COALESCE(s.storage_key, e.export_storage_key),
	payload_size = COALESCE(s.payload_size, e.payload_size),
	payload_sha256 = COALESCE(s.payload_sha256, e.payload_sha256),
	updated_at = now()
FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS host_id, unnest($3::integer[]) AS attempt,
	unnest($4::bytea[]) AS checkpoint, unnest($5::text[]) AS external_ref, unnest($6::text[]) AS storage_key,
	unnest($7::bigint[]) AS payload_size, unnest($8::bytea[]) AS payload_sha256,
	unnest($9::integer[]) AS at) s
WHERE e.id = s.id AND e.lease_host_id = s.host_id AND e.attempt_count = s.attempt
RETURNING s.at`

// SaveAll implements store.Ledger.
func (s *Store) SaveAll(ctx context.Context, saves []store.Save) ([]error, error) {
	if len(saves) == 0 {
		return nil, nil
	}
	merged := rules.MergeSaves(saves)
	args := saveArguments(merged.Items)
	var verdicts []error
	err := s.alone(ctx, "save checkpoints", func(q querier) (err error) {
		verdicts, err = fencedWrite(ctx, q, len(merged.Items), saveBatch, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return merged.Spread(verdicts), nil
}

// fencedWrite runs a statement that returns the numbers, from 1, of the items
// whose fence held. All others get ErrFenced.
func fencedWrite(ctx context.Context, q querier, n int, query string, args ...any) ([]error, error) {
	verdicts := make([]error, n)
	for i := range verdicts {
		verdicts[i] = store.ErrFenced
	}
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var at int
	_, err = pgx.ForEachRow(rows, []any{&at}, func() error {
		verdicts[at-1] = nil
		return nil
	})
	return verdicts, err
}

func saveArguments(saves []store.Save) []any {
	n := len(saves)
	ids, hosts, attempts := make([][16]byte, n), make([][16]byte, n), make([]int32, n)
	checkpoints, refs := make([][]byte, n), make([]*string, n)
	keys, sizes, hashes := make([]*string, n), make([]*int64, n), make([][]byte, n)
	for i := range saves {
		v := &saves[i]
		ids[i], hosts[i], attempts[i] = v.ExportID, v.HostID, int32(v.Attempt)
		checkpoints[i], refs[i] = v.Checkpoint, orNull(v.ExternalRef)
		if v.StorageKey != "" {
			keys[i], sizes[i], hashes[i] = &v.StorageKey, &v.PayloadSize, v.PayloadSHA256
		}
	}
	return []any{ids, hosts, attempts, bytesSaid(checkpoints), said(refs), said(keys), said(sizes), bytesSaid(hashes), ordinals(n)}
}

// finishBatch ends attempts. Where an ack was quicker, the export keeps what
// the ack made of it, and only what the ack could not know is added. An attempt
// of a host of before step 4 is not in the export's row.
const finishBatch = `
WITH done AS (
	UPDATE erp_export e SET
		status = CASE WHEN e.status = 'PENDING' THEN f.status ELSE e.status END,
		error_json = CASE
			WHEN e.status <> 'PENDING' THEN e.error_json
			WHEN f.status = 'PENDING' THEN COALESCE(f.error, e.error_json)
			ELSE f.error END,
		next_attempt_at = CASE
			WHEN e.status <> 'PENDING' OR f.status <> 'PENDING' THEN NULL
			WHEN f.delay > 0 THEN now() + f.delay * interval '1 microsecond'
			ELSE LEAST(e.created_at, now()) END,
		sent_at = CASE WHEN e.status = 'PENDING' AND f.status IN ('SENT', 'ACKED') THEN now() ELSE e.sent_at END,
		acked_at = CASE WHEN e.status = 'PENDING' AND f.status = 'ACKED' THEN now() ELSE e.acked_at END,
		erp_order_id = CASE WHEN e.status = 'PENDING'
			THEN COALESCE(f.erp_order_id, e.erp_order_id) ELSE COALESCE(e.erp_order_id, f.erp_order_id) END,
		tried = e.status = 'PENDING' AND f.status = 'PENDING',
		failure_count = e.failure_count + COALESCE(f.failures, 0),
		crash_count = e.crash_count + COALESCE(f.crashes, 0),
		export_storage_key = COALESCE(f.storage_key, e.export_storage_key),
		payload_size = COALESCE(f.payload_size, e.payload_size),
		payload_sha256 = COALESCE(f.payload_sha256, e.payload_sha256),
		dropzone_path = COALESCE(f.dropzone_path, e.dropzone_path),
		external_ref = COALESCE(f.external_ref, e.running_ref, e.external_ref),
		running_ref = NULL,
		metadata = COALESCE(f.metadata, e.metadata),
		lease_host_id = NULL, lease_expires_at = NULL, updated_at = now(),
		attempt_finished_at = CASE WHEN e.attempt_number = f.attempt THEN now() ELSE e.attempt_finished_at END,
		attempt_outcome = CASE WHEN e.attempt_number = f.attempt THEN f.outcome ELSE e.attempt_outcome END,
		attempt_error_json = CASE WHEN e.attempt_number = f.attempt THEN f.error ELSE e.attempt_error_json END,
		attempt_recovered = CASE WHEN e.attempt_number = f.attempt THEN COALESCE(f.recovered, false) ELSE e.attempt_recovered END
	FROM (SELECT unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS host_id, unnest($3::integer[]) AS attempt,
		unnest($4::text[]) AS outcome, unnest($5::text[]) AS status, unnest($6::jsonb[]) AS error, unnest($7::bigint[]) AS delay,
		unnest($8::integer[]) AS failures, unnest($9::integer[]) AS crashes, unnest($10::boolean[]) AS recovered,
		unnest($11::text[]) AS storage_key, unnest($12::bigint[]) AS payload_size, unnest($13::bytea[]) AS payload_sha256,
		unnest($14::text[]) AS dropzone_path, unnest($15::text[]) AS external_ref, unnest($16::text[]) AS erp_order_id,
		unnest($17::jsonb[]) AS metadata, unnest($18::integer[]) AS at) f
	WHERE e.id = f.id AND e.lease_host_id = f.host_id AND e.attempt_count = f.attempt
	RETURNING f.at, f.id, f.attempt, f.outcome, f.error, f.recovered, e.attempt_number
), ended AS (
	UPDATE export_attempt a SET finished_at = now(), outcome = done.outcome, error_json = done.error, recovered = COALESCE(done.recovered, false)
	FROM done
	WHERE done.attempt_number IS DISTINCT FROM done.attempt AND a.export_id = done.id AND a.number = done.attempt
)
SELECT at FROM done`

// endedBefore finds attempts that ended as this call would end them: a call
// before it succeeded and its answer was lost.
const endedBefore = `
WITH f AS (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[]) WITH ORDINALITY AS given(id, host_id, attempt, outcome, at)
)
SELECT f.at FROM f JOIN erp_export e ON e.id = f.id
WHERE e.attempt_number = f.attempt AND e.attempt_host_id = f.host_id AND e.attempt_outcome = f.outcome
UNION ALL
SELECT f.at FROM f JOIN export_attempt a ON a.export_id = f.id AND a.number = f.attempt
WHERE a.host_id = f.host_id AND a.outcome = f.outcome`

// FinishAll implements store.Ledger.
func (s *Store) FinishAll(ctx context.Context, finishes []store.Finish) ([]error, error) {
	return s.finish(ctx, "finish attempts", finishes)
}

// Reclaim implements store.Ledger.
func (s *Store) Reclaim(ctx context.Context, finishes []store.Finish) ([]error, error) {
	return s.finish(ctx, "reclaim exports", finishes)
}

func (s *Store) finish(ctx context.Context, what string, finishes []store.Finish) ([]error, error) {
	if len(finishes) == 0 {
		return nil, nil
	}
	merged := rules.MergeFinishes(finishes)
	args, err := finishArguments(merged.Items)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var verdicts []error
	err = s.alone(ctx, what, func(q querier) (err error) {
		verdicts, err = fencedWrite(ctx, q, len(merged.Items), finishBatch, args...)
		return err
	})
	if err == nil && anyFenced(verdicts) {
		err = s.alone(ctx, what, func(q querier) error {
			repeated, err := fencedWrite(ctx, q, len(merged.Items), endedBefore, args[:4]...)
			for i, verdict := range repeated {
				if verdict == nil {
					verdicts[i] = nil
				}
			}
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return merged.Spread(verdicts), nil
}

func anyFenced(verdicts []error) bool {
	for _, err := range verdicts {
		if err != nil {
			return true
		}
	}
	return false
}

func finishArguments(finishes []store.Finish) ([]any, error) {
	n := len(finishes)
	ids, hosts, attempts := make([][16]byte, n), make([][16]byte, n), make([]int32, n)
	outcomes, statuses, errs := make([]string, n), make([]string, n), make([][]byte, n)
	delays, failures, crashes := make([]int64, n), make([]int32, n), make([]int32, n)
	recovered, keys, sizes, hashes := make([]bool, n), make([]*string, n), make([]*int64, n), make([][]byte, n)
	paths, refs, erpIDs, metadata := make([]*string, n), make([]*string, n), make([]*string, n), make([][]byte, n)
	for i := range finishes {
		f := &finishes[i]
		var err error
		if errs[i], err = jsonOrNull(f.Error, f.Error == nil); err != nil {
			return nil, err
		}
		if metadata[i], err = jsonOrNull(f.Metadata, f.Metadata == nil); err != nil {
			return nil, err
		}
		ids[i], hosts[i], attempts[i] = f.ExportID, f.HostID, int32(f.Attempt)
		outcomes[i], statuses[i], delays[i] = string(f.Outcome), string(f.Status), f.NextAttemptIn.Microseconds()
		failures[i], crashes[i], recovered[i] = count(f.CountsFailure), count(f.CountsCrash), f.Recovered
		if f.StorageKey != "" {
			keys[i], sizes[i], hashes[i] = &f.StorageKey, &f.PayloadSize, f.PayloadSHA256
		}
		paths[i], refs[i], erpIDs[i] = orNull(f.DropzonePath), orNull(f.ExternalRef), orNull(f.ERPOrderID)
	}
	return []any{
		ids, hosts, attempts, outcomes, statuses, bytesSaid(errs), said(delays), said(failures), said(crashes), said(recovered),
		said(keys), said(sizes), bytesSaid(hashes), said(paths), said(refs), said(erpIDs), bytesSaid(metadata), ordinals(n),
	}, nil
}

// said is a column of a batch, or NULL for one in which nothing is said: most
// batches have several of those.
func said[T comparable](column []T) []T {
	var nothing T
	for _, v := range column {
		if v != nothing {
			return column
		}
	}
	return nil
}

func bytesSaid(column [][]byte) [][]byte {
	for _, v := range column {
		if v != nil {
			return column
		}
	}
	return nil
}

// ordinals are 1 to n.
func ordinals(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i + 1)
	}
	return list
}

func count(yes bool) int32 {
	if yes {
		return 1
	}
	return 0
}

// selectAttempts finds the attempts of an export, the newest of which is part
// of its row.
const selectAttempts = `
SELECT export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered
FROM export_attempt WHERE export_id = $1
UNION ALL
SELECT id, attempt_number, attempt_host_id, attempt_host_name, attempt_started_at, attempt_finished_at,
	attempt_outcome, attempt_error_json, attempt_recovered
FROM erp_export WHERE id = $1 AND attempt_number IS NOT NULL
ORDER BY number`

// Attempts implements store.Exports.
func (s *Store) Attempts(ctx context.Context, orgID, exportID uuid.UUID) ([]domain.Attempt, error) {
	if _, err := s.Export(ctx, orgID, exportID); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, selectAttempts, exportID)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	attempts, err := pgx.CollectRows(rows, scanAttempt)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return attempts, nil
}

func scanAttempt(row pgx.CollectableRow) (domain.Attempt, error) {
	var a domain.Attempt
	err := row.Scan(&a.ExportID, &a.Number, &a.HostID, &a.HostName, &a.StartedAt, &a.FinishedAt,
		(*string)(&a.Outcome), &a.Error, &a.Recovered)
	inUTC(&a.StartedAt, a.FinishedAt)
	return a, err
}
