-- A sealed state may be kept in a bucket; its row then says where.

-- +goose Up
ALTER TABLE states ADD COLUMN place text;
ALTER TABLE states ALTER COLUMN sealed DROP NOT NULL;
ALTER TABLE states ADD CONSTRAINT states_kept_once CHECK ((sealed IS NULL) <> (place IS NULL));
CREATE INDEX states_elsewhere ON states (id) WHERE place IS NOT NULL;
