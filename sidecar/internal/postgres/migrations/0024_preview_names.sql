-- Two repositories may have a pull request of the same number, and each environment's names are one repository's.

-- +goose Up

CREATE TABLE preview_names (
    environment text        NOT NULL,
    name        text        NOT NULL, -- pr-42, or pr-42-<of the repository> where that was taken
    preview_id  uuid        NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment, name)
);
CREATE UNIQUE INDEX preview_names_by_preview ON preview_names (environment, preview_id);

UPDATE instances SET preview = preview || jsonb_build_object('name', 'pr-' || (preview ->> 'number')) WHERE preview IS NOT NULL;

INSERT INTO preview_names (environment, name, preview_id)
SELECT DISTINCT ON (environment, preview ->> 'name') environment, preview ->> 'name', (preview ->> 'id')::uuid
  FROM instances
 WHERE preview IS NOT NULL AND gone_at IS NULL
 ORDER BY environment, preview ->> 'name', created_at
ON CONFLICT DO NOTHING;
