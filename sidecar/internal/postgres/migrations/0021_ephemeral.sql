-- An instance may be part of an ephemeral environment, made for a pull request.

-- +goose Up

ALTER TABLE instances ADD COLUMN preview jsonb; -- {id, repository, number, base}; NULL when it is made for itself
CREATE INDEX instances_by_preview ON instances ((preview ->> 'id')) WHERE preview IS NOT NULL AND gone_at IS NULL;
