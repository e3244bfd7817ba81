-- What became of the resources of an instance since its last good end, as workers and operators say: an apply that was
-- cut short may have made what its state does not know.

-- +goose Up

CREATE TABLE journal (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id uuid        NOT NULL REFERENCES instances (id),
    run_id      uuid        REFERENCES runs (id), -- NULL when an operator said it
    fence       bigint      NOT NULL,
    sequence    bigint      NOT NULL,             -- of the report
    address     text        NOT NULL CHECK (address <> ''),
    did         text        NOT NULL CHECK (did IN ('begun', 'made', 'failed', 'gone')),
    resource_id text        NOT NULL,             -- what its provider knows it by; '' when that is not known or sealed
    sealed_id   bytea,
    said_by     text        NOT NULL,
    reason      text        NOT NULL,
    at          timestamptz NOT NULL,
    CHECK ((run_id IS NULL) = (said_by <> ''))
);
CREATE UNIQUE INDEX journal_reports ON journal (run_id, sequence) WHERE run_id IS NOT NULL;
CREATE INDEX journal_by_instance ON journal (instance_id, fence, id);
