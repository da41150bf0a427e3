-- +goose Up

-- The steps of both databases have the same numbers; the exports change in
-- SQLite only. Here what runs is found in export_attempt, so that a claim changes
-- nothing indexed of an export.

-- What exports refer to keeps its key, which no foreign key watches.
-- +goose StatementBegin
CREATE FUNCTION refuse_another_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING MESSAGE = format('id and org_id of %s %s never change', TG_TABLE_NAME, OLD.id);
END
$$;
-- +goose StatementEnd

CREATE TRIGGER trg_erp_connection_key BEFORE UPDATE OF id, org_id ON erp_connection
    FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.org_id <> OLD.org_id) EXECUTE FUNCTION refuse_another_key();
CREATE TRIGGER trg_draft_order_key BEFORE UPDATE OF id, org_id ON draft_order
    FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.org_id <> OLD.org_id) EXECUTE FUNCTION refuse_another_key();
