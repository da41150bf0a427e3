-- +goose Up

-- The steps of both databases have the same numbers; this one changes
-- PostgreSQL only.
SELECT 1;
