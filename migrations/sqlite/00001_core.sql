-- +goose Up

-- Ids are canonical UUID text, times are microseconds since 1970 in UTC.

CREATE TABLE organization (
    id         TEXT    PRIMARY KEY NOT NULL,
    slug       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT uq_organization_slug UNIQUE (slug)
) STRICT;

-- Other programs may write rows with only the columns up to updated_at.
CREATE TABLE erp_connection (
    id               TEXT    PRIMARY KEY NOT NULL DEFAULT (
        lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
            || '-' || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))),
    org_id           TEXT    NOT NULL REFERENCES organization (id),
    connector_type   TEXT    NOT NULL,
    config_encrypted BLOB    NOT NULL,
    status           TEXT    NOT NULL DEFAULT 'ACTIVE',
    last_test_at     INTEGER,
    created_at       INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),
    updated_at       INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER)),

    seal_version     INTEGER NOT NULL DEFAULT 0,
    seal_key_id      TEXT    NOT NULL DEFAULT '',
    health_state     TEXT    NOT NULL DEFAULT 'UNKNOWN',
    health_code      TEXT,
    health_reason    TEXT,
    health_since     INTEGER,
    next_probe_at    INTEGER,
    probe_failures   INTEGER NOT NULL DEFAULT 0,
    -- The host's own upkeep (circuit health, re-sealing) counts up here, and
    -- by that leaves updated_at as it is.
    upkeep_count     INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT ck_erp_connection_status CHECK (status IN ('ACTIVE', 'DISABLED')),
    CONSTRAINT ck_erp_connection_health CHECK (health_state IN ('UNKNOWN', 'HEALTHY', 'DOWN')),
    CONSTRAINT ck_erp_connection_seal CHECK (seal_version IN (0, 1)),
    CONSTRAINT uq_erp_connection_tenant UNIQUE (org_id, id)
) STRICT;

CREATE UNIQUE INDEX uq_active_connector ON erp_connection (org_id, connector_type) WHERE status = 'ACTIVE';
CREATE INDEX idx_erp_connection_org ON erp_connection (org_id, status);

-- The host sets updated_at itself; this is for the updates of other programs.
-- Never backwards and never the same, whatever the clock does.
-- +goose StatementBegin
CREATE TRIGGER trg_erp_connection_touch AFTER UPDATE ON erp_connection
    FOR EACH ROW WHEN NEW.upkeep_count = OLD.upkeep_count AND NEW.updated_at <= OLD.updated_at
BEGIN
    UPDATE erp_connection
    SET updated_at = max(CAST(unixepoch('subsec') * 1000000 AS INTEGER), OLD.updated_at + 1)
    WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- Immutable once accepted. The content is kept as bytes: its hash is over them.
CREATE TABLE draft_order (
    org_id                TEXT    NOT NULL REFERENCES organization (id),
    id                    TEXT    NOT NULL,
    content               BLOB    NOT NULL,
    content_sha256        BLOB    NOT NULL,
    external_order_number TEXT,
    created_at            INTEGER NOT NULL,
    CONSTRAINT pk_draft_order PRIMARY KEY (id, org_id)
) STRICT;

CREATE TABLE erp_export (
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

    payload_size          INTEGER,
    payload_sha256        BLOB,
    metadata              TEXT,
    idempotency_key       TEXT,
    retry_of              TEXT    REFERENCES erp_export (id),
    attempt_count         INTEGER NOT NULL DEFAULT 0,
    failure_count         INTEGER NOT NULL DEFAULT 0,
    crash_count           INTEGER NOT NULL DEFAULT 0,
    -- Set while PENDING. An export that is due at once has the time of its
    -- creation here, so that the oldest is first.
    next_attempt_at       INTEGER,
    -- Still PENDING after an attempt has ended.
    tried                 INTEGER NOT NULL DEFAULT 0,
    checkpoint            BLOB,
    lease_host_id         TEXT,
    lease_expires_at      INTEGER,
    sent_at               INTEGER,
    acked_at              INTEGER,

    CONSTRAINT ck_erp_export_status CHECK (status IN ('PENDING', 'SENT', 'ACKED', 'FAILED')),
    CONSTRAINT ck_erp_export_due CHECK ((status = 'PENDING') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT ck_erp_export_lease CHECK ((lease_host_id IS NULL) = (lease_expires_at IS NULL)),
    FOREIGN KEY (org_id, erp_connection_id) REFERENCES erp_connection (org_id, id),
    FOREIGN KEY (org_id, draft_order_id) REFERENCES draft_order (org_id, id)
) STRICT;

-- One live export for each order.
CREATE UNIQUE INDEX uq_live_export ON erp_export (org_id, draft_order_id) WHERE status IN ('PENDING', 'SENT', 'ACKED');
CREATE INDEX idx_erp_export_failed ON erp_export (org_id, draft_order_id) WHERE status = 'FAILED';
-- A key belongs to the export that it created; retries carry none.
CREATE UNIQUE INDEX uq_idempotency_key ON erp_export (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- What to run next: crash_count is 0 for all but the few suspects.
CREATE INDEX idx_erp_export_due ON erp_export (erp_connection_id, crash_count, next_attempt_at, id) WHERE status = 'PENDING';
CREATE INDEX idx_erp_export_tried ON erp_export (erp_connection_id) WHERE tried;
-- Lists, also an organization's: it has few connections, and each has four states.
CREATE INDEX idx_erp_export_list ON erp_export (erp_connection_id, status, created_at, id);
CREATE INDEX idx_erp_export_ref ON erp_export (erp_connection_id, external_ref) WHERE external_ref IS NOT NULL;

CREATE TABLE export_attempt (
    export_id   TEXT    NOT NULL REFERENCES erp_export (id),
    number      INTEGER NOT NULL,
    host_id     TEXT    NOT NULL,
    host_name   TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    outcome     TEXT    NOT NULL DEFAULT 'RUNNING',
    error_json  TEXT,
    recovered   INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT pk_export_attempt PRIMARY KEY (export_id, number),
    CONSTRAINT ck_export_attempt_outcome CHECK (outcome IN ('RUNNING', 'DELIVERED', 'FAILED', 'RETRY', 'DEFERRED', 'LOST')),
    CONSTRAINT ck_export_attempt_end CHECK ((outcome = 'RUNNING') = (finished_at IS NULL))
) STRICT;

-- What is in flight, to find what a dead host has left.
CREATE INDEX idx_export_attempt_running ON export_attempt (host_id, export_id) WHERE outcome = 'RUNNING';

CREATE TABLE audit_log (
    id      TEXT    PRIMARY KEY NOT NULL,
    org_id  TEXT    REFERENCES organization (id),
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    details TEXT
) STRICT;
CREATE INDEX idx_audit_log_org ON audit_log (org_id, at, id);

CREATE TABLE api_token (
    id           TEXT    PRIMARY KEY NOT NULL,
    org_id       TEXT    NOT NULL REFERENCES organization (id),
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    token_sha256 BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    CONSTRAINT ck_api_token_role CHECK (role IN ('ADMIN', 'INTEGRATOR', 'OPS', 'VIEWER')),
    CONSTRAINT uq_api_token_sha256 UNIQUE (token_sha256)
) STRICT;
CREATE INDEX idx_api_token_org ON api_token (org_id);

CREATE TABLE host_node (
    id              TEXT    PRIMARY KEY NOT NULL,
    name            TEXT    NOT NULL,
    version         TEXT    NOT NULL,
    connector_types TEXT    NOT NULL DEFAULT '[]',
    started_at      INTEGER NOT NULL,
    heartbeat_at    INTEGER NOT NULL,
    stopped_at      INTEGER
) STRICT;
