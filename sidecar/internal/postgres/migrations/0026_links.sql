-- An instance may take an output of another one, which cannot be destroyed meanwhile.

-- +goose Up

ALTER TABLE requests ADD COLUMN links jsonb; -- [{parameter, instance_id, entity_ref, output}]; NULL when it takes none
ALTER TABLE instances ADD COLUMN links jsonb;

-- What is taken of whom, from when it is asked for until it is no longer so.
CREATE TABLE links (
    dependant_id uuid NOT NULL REFERENCES instances (id) DEFERRABLE INITIALLY DEFERRED,
    parameter    text NOT NULL,
    output       text NOT NULL,
    upstream_id  uuid NOT NULL REFERENCES instances (id),
    PRIMARY KEY (dependant_id, parameter, upstream_id, output)
);
CREATE INDEX links_by_upstream ON links (upstream_id);
