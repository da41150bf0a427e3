-- +goose Up

-- The newest attempt of an export is part of its row, and moves to
-- export_attempt when another one starts, which few do: so an export that is
-- delivered at once has one row and no other. Without a number there was no
-- attempt, or it is in export_attempt: what attempts there are stays where it is,
-- and attempt_recovered means nothing.
ALTER TABLE erp_export
    ADD COLUMN attempt_number      integer,
    ADD COLUMN attempt_host_id     uuid,
    ADD COLUMN attempt_host_name   text,
    ADD COLUMN attempt_started_at  timestamptz,
    ADD COLUMN attempt_finished_at timestamptz,
    ADD COLUMN attempt_outcome     text,
    ADD COLUMN attempt_error_json  jsonb,
    ADD COLUMN attempt_recovered   boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT ck_erp_export_attempt CHECK ((attempt_number IS NULL) = (attempt_outcome IS NULL)
        AND (attempt_outcome = 'RUNNING') = (attempt_finished_at IS NULL)
        AND attempt_outcome IN ('RUNNING', 'DELIVERED', 'FAILED', 'RETRY', 'DEFERRED', 'LOST')) NOT VALID,
    ADD CONSTRAINT ck_erp_export_running CHECK (attempt_outcome <> 'RUNNING' OR lease_host_id IS NOT NULL) NOT VALID;

-- Which exports have been claimed together. What is in flight is found by it,
-- since an index on leases would make each claim write to all indexes of its
-- exports. Once nothing of a claim is under way it goes.
--
-- A host of before this step goes on, and has what it runs in export_attempt.
CREATE TABLE export_claim (
    erp_connection_id uuid        NOT NULL,
    id                bigint      GENERATED ALWAYS AS IDENTITY,
    host_id           uuid        NOT NULL,
    claimed_at        timestamptz NOT NULL, -- its attempts' attempt_started_at
    expires_at        timestamptz NOT NULL,
    export_ids        uuid[]      NOT NULL,
    CONSTRAINT pk_export_claim PRIMARY KEY (erp_connection_id, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000
);
