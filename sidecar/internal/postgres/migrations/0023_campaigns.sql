-- A version is rolled out in a campaign: its members' upgrades are planned, approved by what they do, and asked for in rings.

-- +goose Up

CREATE TABLE campaigns (
    id         uuid        PRIMARY KEY,
    offering   text        NOT NULL,
    state      text        NOT NULL CHECK (state IN ('open', 'running', 'halted', 'finished', 'stopped')),
    body       jsonb       NOT NULL, -- what it is of, its rings, who approved which group and who has opted out
    sequence   bigint      NOT NULL CHECK (sequence > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX campaigns_by_time ON campaigns (created_at DESC, id DESC);

-- How a member fares is that of its instance and its request, which is found by its key; this is what neither knows.
CREATE TABLE campaign_members (
    id           uuid        PRIMARY KEY, -- of its check
    campaign_id  uuid        NOT NULL REFERENCES campaigns (id),
    instance_id  uuid        NOT NULL REFERENCES instances (id),
    ring         int         NOT NULL CHECK (ring >= 0),
    plan         jsonb,       -- what its upgrade would do; NULL until that is known
    accepted     boolean     NOT NULL DEFAULT false,   -- its failure halts nothing any more
    due_at       timestamptz, -- NULL when no plan is due
    worker       text        NOT NULL DEFAULT '', -- with all that follows: the plan in a worker's hands
    token_digest text        NOT NULL DEFAULT '',
    generation   bigint      NOT NULL DEFAULT 0 CHECK (generation >= 0),
    fence        bigint      NOT NULL DEFAULT 0 CHECK (fence >= 0),
    expires_at   timestamptz,
    UNIQUE (campaign_id, instance_id),
    CHECK ((worker <> '') = (expires_at IS NOT NULL)),
    CHECK ((worker <> '') = (token_digest <> ''))
) WITH (fillfactor = 85);
CREATE INDEX campaign_members_by_instance ON campaign_members (instance_id);
CREATE INDEX campaign_members_due ON campaign_members (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX campaign_members_expiring ON campaign_members (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE requests ADD COLUMN rollout jsonb; -- the campaign that asked for it, and on whose word
