-- What a plan would do, and what that costs, is told as soon as there is one.

-- +goose Up

ALTER TABLE requests ADD COLUMN plan jsonb;
