-- +goose Up

-- The steps of both databases have the same numbers. Here the newest attempt is
-- part of the export's row since the step before.
