-- +goose Up

CREATE TABLE organization (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    slug       text        NOT NULL,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_organization_slug UNIQUE (slug)
);

-- Other programs may write rows with only the columns up to updated_at.
CREATE TABLE erp_connection (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id           uuid        NOT NULL CONSTRAINT fk_erp_connection_org REFERENCES organization (id),
    connector_type   text        NOT NULL,
    config_encrypted bytea       NOT NULL,
    status           text        NOT NULL DEFAULT 'ACTIVE',
    last_test_at     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),

    seal_version     integer     NOT NULL DEFAULT 0,
    seal_key_id      text        NOT NULL DEFAULT '',
    health_state     text        NOT NULL DEFAULT 'UNKNOWN',
    health_code      text,
    health_reason    text,
    health_since     timestamptz,
    next_probe_at    timestamptz,
    probe_failures   integer     NOT NULL DEFAULT 0,
    -- The host's own upkeep (circuit health, re-sealing) counts up here, and
    -- by that leaves updated_at as it is.
    upkeep_count     bigint      NOT NULL DEFAULT 0,

    CONSTRAINT ck_erp_connection_status CHECK (status IN ('ACTIVE', 'DISABLED')),
    CONSTRAINT ck_erp_connection_health CHECK (health_state IN ('UNKNOWN', 'HEALTHY', 'DOWN')),
    CONSTRAINT ck_erp_connection_seal CHECK (seal_version IN (0, 1)),
    CONSTRAINT uq_erp_connection_tenant UNIQUE (org_id, id)
);

CREATE UNIQUE INDEX uq_active_connector ON erp_connection (org_id, connector_type) WHERE status = 'ACTIVE';
CREATE INDEX idx_erp_connection_org ON erp_connection (org_id, status);

-- +goose StatementBegin
CREATE FUNCTION erp_connection_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Never backwards and never the same, whatever the clock does.
    NEW.updated_at := GREATEST(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER trg_erp_connection_touch BEFORE UPDATE ON erp_connection
    FOR EACH ROW WHEN (NEW.upkeep_count = OLD.upkeep_count)
    EXECUTE FUNCTION erp_connection_touch();

-- Immutable once accepted. The content is kept as bytes: its hash is over them.
-- The key has the id first: a planner without statistics would else join by
-- org_id alone.
CREATE TABLE draft_order (
    org_id                uuid        NOT NULL CONSTRAINT fk_draft_order_org REFERENCES organization (id),
    id                    uuid        NOT NULL,
    content               bytea       NOT NULL,
    content_sha256        bytea       NOT NULL,
    external_order_number text,
    created_at            timestamptz NOT NULL,
    CONSTRAINT pk_draft_order PRIMARY KEY (id, org_id)
);

-- Half of each page is left free at first: the updates that claim an export
-- and save its checkpoint change no indexed column, find room on the page, and
-- so cost no index write.
CREATE TABLE erp_export (
    id                    uuid        PRIMARY KEY,
    org_id                uuid        NOT NULL,
    erp_connection_id     uuid        NOT NULL,
    draft_order_id        uuid        NOT NULL,
    export_format_version text        NOT NULL,
    export_storage_key    text,
    dropzone_path         text,
    external_ref          text,
    status                text        NOT NULL DEFAULT 'PENDING',
    erp_order_id          text,
    error_json            jsonb,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,

    payload_size          bigint,
    payload_sha256        bytea,
    metadata              jsonb,
    idempotency_key       text,
    retry_of              uuid,
    attempt_count         integer     NOT NULL DEFAULT 0,
    failure_count         integer     NOT NULL DEFAULT 0,
    crash_count           integer     NOT NULL DEFAULT 0,
    -- Set while PENDING. An export that is due at once has the time of its
    -- creation here, so that the oldest is first.
    next_attempt_at       timestamptz,
    -- Still PENDING after an attempt has ended.
    tried                 boolean NOT NULL DEFAULT false,
    checkpoint            bytea,
    -- The reference while its attempt runs; then it moves to external_ref,
    -- which is indexed.
    running_ref           text,
    lease_host_id         uuid,
    lease_expires_at      timestamptz,
    sent_at               timestamptz,
    acked_at              timestamptz,

    CONSTRAINT ck_erp_export_status CHECK (status IN ('PENDING', 'SENT', 'ACKED', 'FAILED')),
    CONSTRAINT ck_erp_export_due CHECK ((status = 'PENDING') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT ck_erp_export_lease CHECK ((lease_host_id IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT fk_erp_export_connection FOREIGN KEY (org_id, erp_connection_id) REFERENCES erp_connection (org_id, id),
    CONSTRAINT fk_erp_export_draft_order FOREIGN KEY (org_id, draft_order_id) REFERENCES draft_order (org_id, id),
    CONSTRAINT fk_erp_export_retry_of FOREIGN KEY (retry_of) REFERENCES erp_export (id)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 2000
);

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

-- Attempts are only ever inserted from the export row that the same statement
-- updates, and exports are never deleted: a foreign key would only cost.
CREATE TABLE export_attempt (
    export_id   uuid        NOT NULL,
    number      integer     NOT NULL,
    host_id     uuid        NOT NULL,
    host_name   text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    outcome     text        NOT NULL DEFAULT 'RUNNING',
    error_json  jsonb,
    recovered   boolean     NOT NULL DEFAULT false,
    CONSTRAINT pk_export_attempt PRIMARY KEY (export_id, number),
    CONSTRAINT ck_export_attempt_outcome CHECK (outcome IN ('RUNNING', 'DELIVERED', 'FAILED', 'RETRY', 'DEFERRED', 'LOST')),
    CONSTRAINT ck_export_attempt_end CHECK ((outcome = 'RUNNING') = (finished_at IS NULL))
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 2000
);

-- What is in flight, to find what a dead host has left.
CREATE INDEX idx_export_attempt_running ON export_attempt (host_id, export_id) WHERE outcome = 'RUNNING';

CREATE TABLE audit_log (
    id      uuid        PRIMARY KEY,
    org_id  uuid        CONSTRAINT fk_audit_log_org REFERENCES organization (id),
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    subject text        NOT NULL,
    details jsonb
);
CREATE INDEX idx_audit_log_org ON audit_log (org_id, at, id);

CREATE TABLE api_token (
    id           uuid        PRIMARY KEY,
    org_id       uuid        NOT NULL CONSTRAINT fk_api_token_org REFERENCES organization (id),
    name         text        NOT NULL,
    role         text        NOT NULL,
    token_sha256 bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT ck_api_token_role CHECK (role IN ('ADMIN', 'INTEGRATOR', 'OPS', 'VIEWER')),
    CONSTRAINT uq_api_token_sha256 UNIQUE (token_sha256)
);
CREATE INDEX idx_api_token_org ON api_token (org_id);

CREATE TABLE host_node (
    id              uuid        PRIMARY KEY,
    name            text        NOT NULL,
    version         text        NOT NULL,
    connector_types text[]      NOT NULL DEFAULT '{}',
    started_at      timestamptz NOT NULL,
    heartbeat_at    timestamptz NOT NULL,
    stopped_at      timestamptz
);
