-- +goose Up

-- Each accepted order looked three parents up, one by one, and locked their
-- rows. The statement that accepts a batch now does it once for all of it, and
-- the triggers below keep parents from being deleted; nothing else could break
-- the reference, since none of these keys ever changes.
ALTER TABLE draft_order DROP CONSTRAINT fk_draft_order_org;
ALTER TABLE erp_export DROP CONSTRAINT fk_erp_export_connection, DROP CONSTRAINT fk_erp_export_draft_order;

-- +goose StatementBegin
CREATE FUNCTION refuse_delete_with_exports() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    used boolean;
BEGIN
    IF TG_TABLE_NAME = 'erp_connection' THEN
        used := EXISTS (SELECT FROM erp_export WHERE erp_connection_id = OLD.id AND status IN ('PENDING', 'SENT', 'ACKED', 'FAILED'));
    ELSIF TG_TABLE_NAME = 'draft_order' THEN
        -- Each half has an index of its own.
        used := EXISTS (SELECT FROM erp_export WHERE org_id = OLD.org_id AND draft_order_id = OLD.id
                AND status IN ('PENDING', 'SENT', 'ACKED'))
            OR EXISTS (SELECT FROM erp_export WHERE org_id = OLD.org_id AND draft_order_id = OLD.id AND status = 'FAILED');
    END IF;
    IF used THEN
        RAISE foreign_key_violation USING MESSAGE = format('%s %s has exports and can''t be deleted', TG_TABLE_NAME, OLD.id);
    END IF;
    RETURN OLD;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER trg_erp_connection_keep BEFORE DELETE ON erp_connection
    FOR EACH ROW EXECUTE FUNCTION refuse_delete_with_exports();
CREATE TRIGGER trg_draft_order_keep BEFORE DELETE ON draft_order
    FOR EACH ROW EXECUTE FUNCTION refuse_delete_with_exports();

-- Room on the page for the row as it is claimed and, twice as long, as its
-- checkpoint is saved: so neither writes to an index.
ALTER TABLE erp_export SET (fillfactor = 25);
