-- Instances are checked for drift: when each is due, who is at it, and what was found different from what was asked for.

-- +goose Up

ALTER TABLE instances ADD COLUMN drift jsonb; -- NULL when the newest check found nothing
CREATE INDEX instances_drifted ON instances (owner, ((drift->>'generation')::bigint)) WHERE drift IS NOT NULL;

CREATE TABLE drift_checks (
    instance_id  uuid        PRIMARY KEY REFERENCES instances (id),
    due_at       timestamptz, -- NULL when none is due
    asked_by     text        NOT NULL,
    checked_at   timestamptz, -- when a check last told how the instance is
    failure      text        NOT NULL,
    worker       text        NOT NULL, -- with all that follows: the check in a worker's hands
    token_digest text        NOT NULL,
    generation   bigint      NOT NULL CHECK (generation >= 0),
    fence        bigint      NOT NULL CHECK (fence >= 0),
    expires_at   timestamptz,
    CHECK ((worker <> '') = (expires_at IS NOT NULL)),
    CHECK ((worker <> '') = (token_digest <> ''))
) WITH (fillfactor = 85);
CREATE INDEX drift_checks_due ON drift_checks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX drift_checks_expiring ON drift_checks (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE requests DROP CONSTRAINT requests_action_check;
ALTER TABLE requests ADD CONSTRAINT requests_action_check
    CHECK (action IN ('create', 'update', 'upgrade', 'destroy', 'hand_over', 'rotate', 'import', 'revert', 'adopt', 'extend'));
