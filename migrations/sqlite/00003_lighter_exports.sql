-- +goose Up

-- All writes follow one another here, so what one order needs not touch is
-- time for others.
--
-- The newest attempt of an export is part of its row, and moves to
-- export_attempt when another one starts, which few do.
--
-- Constraints and partial indexes say = and <> instead of IN, for which SQLite
-- fills a temporary table with each row that it checks. That an order has one
-- live export goes by a column that stays as it is when an export is SENT.
--
-- What exports belong to is looked up once for a batch that is accepted, by
-- the statement that finds its route. Triggers keep it from going away, also
-- where another program has not switched foreign keys on.

CREATE TABLE ended_attempt (
    export_id   TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    host_id     TEXT    NOT NULL,
    host_name   TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    error_json  TEXT,
    recovered   INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT pk_export_attempt PRIMARY KEY (export_id, number),
    CONSTRAINT ck_export_attempt_outcome CHECK (outcome IN ('DELIVERED', 'FAILED', 'RETRY', 'DEFERRED', 'LOST'))
) STRICT, WITHOUT ROWID;

INSERT INTO ended_attempt
SELECT export_id, number, host_id, host_name, started_at, finished_at, outcome, error_json, recovered
FROM export_attempt WHERE outcome <> 'RUNNING'
UNION ALL -- of nobody; no host leaves such
SELECT a.export_id, a.number, a.host_id, a.host_name, a.started_at, a.started_at, 'LOST', a.error_json, a.recovered
FROM export_attempt a JOIN erp_export e ON e.id = a.export_id
WHERE a.outcome = 'RUNNING' AND (e.lease_host_id IS NULL OR a.number <> e.attempt_count);

CREATE TABLE lighter_export (
    id                    TEXT    PRIMARY KEY NOT NULL,
    org_id                TEXT    NOT NULL,
    erp_connection_id     TEXT    NOT NULL,
    draft_order_id        TEXT    NOT NULL,
    export_format_version TEXT    NOT NULL,
    export_storage_key    TEXT,
    dropzone_path         TEXT,
    external_ref          TEXT,
    status                TEXT    NOT NULL DEFAULT 'PENDING',
    erp_order_id          TEXT,
    error_json            TEXT,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,

    live                  INTEGER NOT NULL DEFAULT 1, -- not FAILED
    payload_size          INTEGER,
    payload_sha256        BLOB,
    metadata              TEXT,
    idempotency_key       TEXT,
    retry_of              TEXT,
    attempt_count         INTEGER NOT NULL DEFAULT 0,
    failure_count         INTEGER NOT NULL DEFAULT 0,
    crash_count           INTEGER NOT NULL DEFAULT 0,
    -- Set while PENDING. An export that is due at once has the time of its
    -- creation here, so that the oldest is first.
    next_attempt_at       INTEGER,
    -- Still PENDING after an attempt has ended.
    tried                 INTEGER NOT NULL DEFAULT 0,
    checkpoint            BLOB,
    -- The reference while its attempt runs; then it moves to external_ref,
    -- which is indexed.
    running_ref           TEXT,
    lease_host_id         TEXT,
    lease_expires_at      INTEGER,
    sent_at               INTEGER,
    acked_at              INTEGER,

    -- The newest attempt. Without an outcome there was none, or it ended before
    -- attempts were kept here.
    attempt_host_id       TEXT,
    attempt_host_name     TEXT,
    attempt_started_at    INTEGER,
    attempt_finished_at   INTEGER,
    attempt_outcome       TEXT,
    attempt_error_json    TEXT,
    attempt_recovered     INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT ck_erp_export_status CHECK (status = 'PENDING' OR status = 'SENT' OR status = 'ACKED' OR status = 'FAILED'),
    CONSTRAINT ck_erp_export_live CHECK (live = (status <> 'FAILED')),
    CONSTRAINT ck_erp_export_due CHECK ((status = 'PENDING') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT ck_erp_export_lease CHECK ((lease_host_id IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT ck_erp_export_running CHECK ((lease_host_id IS NOT NULL) = (attempt_outcome IS 'RUNNING'))
) STRICT;

INSERT INTO lighter_export (
    id, org_id, erp_connection_id, draft_order_id, export_format_version, export_storage_key, dropzone_path, external_ref, status,
    erp_order_id, error_json, created_at, updated_at, live, payload_size, payload_sha256, metadata, idempotency_key, retry_of,
    attempt_count, failure_count, crash_count, next_attempt_at, tried, checkpoint, lease_host_id, lease_expires_at, sent_at, acked_at,
    attempt_host_id, attempt_host_name, attempt_started_at, attempt_outcome)
SELECT
    e.id, e.org_id, e.erp_connection_id, e.draft_order_id, e.export_format_version, e.export_storage_key, e.dropzone_path, e.external_ref, e.status,
    e.erp_order_id, e.error_json, e.created_at, e.updated_at, e.status <> 'FAILED', e.payload_size, e.payload_sha256, e.metadata, e.idempotency_key, e.retry_of,
    e.attempt_count, e.failure_count, e.crash_count, e.next_attempt_at, e.tried, e.checkpoint, e.lease_host_id, e.lease_expires_at, e.sent_at, e.acked_at,
    COALESCE(a.host_id, e.lease_host_id), COALESCE(a.host_name, CASE WHEN e.lease_host_id IS NOT NULL THEN '' END),
    COALESCE(a.started_at, CASE WHEN e.lease_host_id IS NOT NULL THEN e.updated_at END), CASE WHEN e.lease_host_id IS NOT NULL THEN 'RUNNING' END
FROM erp_export e
LEFT JOIN export_attempt a ON e.lease_host_id IS NOT NULL AND a.export_id = e.id AND a.number = e.attempt_count AND a.outcome = 'RUNNING'
ORDER BY e.rowid;

-- To drop a table that refers to itself, SQLite looks for each of its rows
-- whether another refers to it.
CREATE INDEX idx_retry_of ON erp_export (retry_of) WHERE retry_of IS NOT NULL;
DROP TABLE export_attempt;
DROP TABLE erp_export;
-- To rename, SQLite would else read the views of other programs, for which the
-- table is missing at this moment.
PRAGMA legacy_alter_table = ON;
ALTER TABLE ended_attempt RENAME TO export_attempt;
ALTER TABLE lighter_export RENAME TO erp_export;
PRAGMA legacy_alter_table = OFF;

-- One live export for each order.
CREATE UNIQUE INDEX uq_live_export ON erp_export (draft_order_id, org_id) WHERE live;
CREATE INDEX idx_erp_export_failed ON erp_export (draft_order_id, org_id) WHERE NOT live;
-- A key belongs to the export that it created; retries carry none.
CREATE UNIQUE INDEX uq_idempotency_key ON erp_export (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- What to run next: crash_count is 0 for all but the few suspects.
CREATE INDEX idx_erp_export_due ON erp_export (erp_connection_id, crash_count, next_attempt_at, id) WHERE status = 'PENDING';
CREATE INDEX idx_erp_export_tried ON erp_export (erp_connection_id) WHERE tried;
-- What is in flight, to find what a dead host has left.
CREATE INDEX idx_erp_export_leased ON erp_export (lease_host_id) WHERE lease_host_id IS NOT NULL;
-- Lists, also an organization's: it has few connections, and each has four states.
CREATE INDEX idx_erp_export_list ON erp_export (erp_connection_id, status, created_at, id);
CREATE INDEX idx_erp_export_ref ON erp_export (erp_connection_id, external_ref) WHERE external_ref IS NOT NULL;

-- +goose StatementBegin
CREATE TRIGGER trg_erp_connection_keep BEFORE DELETE ON erp_connection
    FOR EACH ROW WHEN EXISTS (SELECT 1 FROM erp_export WHERE erp_connection_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'erp_connection has exports and can''t be deleted');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER trg_draft_order_keep BEFORE DELETE ON draft_order
    FOR EACH ROW WHEN EXISTS (SELECT 1 FROM erp_export WHERE org_id = OLD.org_id AND draft_order_id = OLD.id AND live)
        OR EXISTS (SELECT 1 FROM erp_export WHERE org_id = OLD.org_id AND draft_order_id = OLD.id AND NOT live)
BEGIN
    SELECT RAISE(ABORT, 'draft_order has exports and can''t be deleted');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER trg_erp_connection_key BEFORE UPDATE OF id, org_id ON erp_connection
    FOR EACH ROW WHEN NEW.id <> OLD.id OR NEW.org_id <> OLD.org_id
BEGIN
    SELECT RAISE(ABORT, 'id and org_id of an erp_connection never change');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER trg_draft_order_key BEFORE UPDATE OF id, org_id ON draft_order
    FOR EACH ROW WHEN NEW.id <> OLD.id OR NEW.org_id <> OLD.org_id
BEGIN
    SELECT RAISE(ABORT, 'id and org_id of a draft_order never change');
END;
-- +goose StatementEnd

-- INSERT OR REPLACE deletes what is in its way without asking a trigger for
-- deletions. A row of the same key may come in the way of itself: so may other
-- programs write one that is there, or leave it.
-- +goose StatementBegin
CREATE TRIGGER trg_erp_connection_replace BEFORE INSERT ON erp_connection
    FOR EACH ROW WHEN EXISTS (
        SELECT 1 FROM erp_connection c
        WHERE (c.id = NEW.id OR c.org_id = NEW.org_id AND c.connector_type = NEW.connector_type AND c.status = 'ACTIVE' AND NEW.status = 'ACTIVE')
            AND (c.id <> NEW.id OR c.org_id <> NEW.org_id)
            AND EXISTS (SELECT 1 FROM erp_export WHERE erp_connection_id = c.id))
BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: there is such an erp_connection, and it has exports');
END;
-- +goose StatementEnd
