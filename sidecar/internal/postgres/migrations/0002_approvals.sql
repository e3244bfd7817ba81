-- People approve what policy holds up: whose approval a request needs and has, and the plan that it is for.

-- +goose Up

ALTER TABLE requests
    ADD COLUMN approval            jsonb,
    ADD COLUMN approval_expires_at timestamptz, -- set while it waits
    ADD COLUMN approved_at         timestamptz, -- its time in the queue counts from here
    ADD CONSTRAINT requests_approval_expires CHECK (state <> 'awaiting_approval' OR (approval IS NOT NULL AND approval_expires_at IS NOT NULL));
CREATE INDEX requests_awaiting_approval ON requests (approval_expires_at, id) WHERE state = 'awaiting_approval';

ALTER TABLE events DROP CONSTRAINT events_entity_check;
ALTER TABLE events ADD CONSTRAINT events_entity_check
    CHECK (entity IN ('request', 'step', 'run', 'instance', 'credentials', 'approval'));

-- Sealed plans, until their request has ended. A run may only write its own.
CREATE TABLE plans (
    run_id     uuid        PRIMARY KEY REFERENCES runs (id),
    request_id uuid        NOT NULL REFERENCES requests (id),
    sealed     bytea       NOT NULL CHECK (octet_length(sealed) <= 16777216),
    kept_at    timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE plans ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX plans_by_request ON plans (request_id);
