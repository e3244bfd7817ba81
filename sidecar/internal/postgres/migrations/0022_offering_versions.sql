-- Each version of an offering is a draft, published, deprecated or withdrawn.

-- +goose Up

CREATE TABLE offering_versions (
    digest     text        PRIMARY KEY REFERENCES offerings (digest),
    id         uuid        NOT NULL UNIQUE, -- the subject of its events
    offering   text        NOT NULL,
    version    text        NOT NULL,
    state      text        NOT NULL CHECK (state IN ('draft', 'published', 'deprecated', 'withdrawn')),
    reason     text        NOT NULL,
    changed_by text        NOT NULL CHECK (changed_by <> ''),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    served_at  timestamptz NOT NULL DEFAULT clock_timestamp(), -- of those published, the one that was served last is asked for
    sequence   bigint      NOT NULL CHECK (sequence >= 0)
);
CREATE INDEX offering_versions_served ON offering_versions (offering, served_at DESC, digest);

INSERT INTO offering_versions (digest, id, offering, version, state, reason, changed_by, changed_at, served_at, sequence)
SELECT o.digest, gen_random_uuid(), o.id, o.version, 'published', '', 'system:serve', o.published_at, o.published_at, 0
  FROM offerings o;
