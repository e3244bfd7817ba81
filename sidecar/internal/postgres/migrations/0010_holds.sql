-- What was accepted may wait: for a pause to end, a change freeze, a maintenance window.

-- +goose Up

ALTER TABLE requests
    ADD COLUMN holds       jsonb,       -- what it waits for besides a worker; null while nothing holds it
    ADD COLUMN released_at timestamptz, -- its time in the queue counts from here
    ADD CONSTRAINT requests_held CHECK (holds IS NULL OR state = 'queued');
CREATE INDEX requests_held ON requests (id) WHERE holds IS NOT NULL;

-- A pause is in force until it is ended; ended ones are kept, to be looked up.
CREATE TABLE pauses (
    id       uuid        PRIMARY KEY,
    kind     text        NOT NULL CHECK (kind IN ('offering', 'pool', 'everything')),
    name     text        NOT NULL CHECK ((name = '') = (kind = 'everything')),
    reason   text        NOT NULL CHECK (reason <> ''),
    begun_by text        NOT NULL CHECK (begun_by <> ''),
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_by text,
    ended_at timestamptz,
    CHECK ((ended_by IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX pauses_in_force ON pauses (kind, name) WHERE ended_at IS NULL;

ALTER TABLE events DROP CONSTRAINT events_entity_check;
ALTER TABLE events ADD CONSTRAINT events_entity_check CHECK (entity ~ '^[a-z_]+$');
