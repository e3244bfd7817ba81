-- How the platform fares over time: what ended when, and how many tickets people still wrote.

-- +goose Up

CREATE INDEX requests_finished ON requests (finished_at) WHERE finished_at IS NOT NULL;

-- Tickets of a day (UTC) that asked people for what an offering gives, as the platform team imports them.
CREATE TABLE tickets (
    day         date        PRIMARY KEY,
    count       integer     NOT NULL CHECK (count BETWEEN 0 AND 1000000),
    imported_by text        NOT NULL CHECK (imported_by <> ''),
    imported_at timestamptz NOT NULL DEFAULT now()
);
