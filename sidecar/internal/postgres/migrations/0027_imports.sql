-- An instance may have been made of resources that were there already.

-- +goose Up

ALTER TABLE instances ADD COLUMN imports jsonb; -- [{address, id}]; NULL when Roadbed made it
