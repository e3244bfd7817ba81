-- Who is to be told of an event is remembered with the event itself, so that no crash can forget it.

-- +goose Up

CREATE TABLE notices (
    event_id   uuid        NOT NULL,
    channel    text        NOT NULL, -- '' until it is known whom to tell
    subject_id uuid        NOT NULL,
    sequence   bigint      NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error      text        NOT NULL DEFAULT '',
    due_at     timestamptz, -- NULL once it is given up
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, channel)
);
CREATE INDEX notices_due ON notices (channel, due_at, created_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_given_up ON notices (created_at, event_id) WHERE due_at IS NULL;
