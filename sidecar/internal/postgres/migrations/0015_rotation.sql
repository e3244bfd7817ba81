-- Credentials are made anew by a number that only rises.

-- +goose Up

ALTER TABLE instances ADD COLUMN credentials_version bigint NOT NULL DEFAULT 1 CHECK (credentials_version > 0);
