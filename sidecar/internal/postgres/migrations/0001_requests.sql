-- What Roadbed must never lose: requests, the instances they make, the runs that make them, and every fact that was told.

-- +goose Up

-- Bundles of published offerings by digest. They are never deleted while anything may need them, and requests and
-- instances name them without a foreign key: each insert would lock the one row that all requests of an offering share.
CREATE TABLE offerings (
    digest                text        PRIMARY KEY,
    id                    text        NOT NULL,
    version               text        NOT NULL,
    contract              jsonb       NOT NULL,
    apply_timeout_seconds bigint      NOT NULL CHECK (apply_timeout_seconds >= 0),
    bundle                bytea       NOT NULL,
    published_at          timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE offerings ALTER COLUMN bundle SET STORAGE EXTERNAL;
CREATE INDEX offerings_by_id ON offerings (id, published_at DESC);

CREATE TABLE instances (
    id                 uuid        PRIMARY KEY,
    short_id           text        NOT NULL,
    offering           text        NOT NULL,
    offering_version   text        NOT NULL,
    offering_digest    text        NOT NULL,
    environment        text        NOT NULL,
    name               text        NOT NULL CHECK (name <> ''),
    owner              text        NOT NULL,
    cost_center        text        NOT NULL,
    state              text        NOT NULL CHECK (state IN
        ('reserved', 'ready', 'changing', 'incomplete', 'destroying', 'destroyed', 'released')),
    generation         bigint      NOT NULL CHECK (generation > 0),
    fence              bigint      NOT NULL CHECK (fence >= 0),
    parameters         jsonb       NOT NULL,
    monthly_cost_mills bigint,
    outputs            jsonb,
    request_id         uuid        NOT NULL,
    sequence           bigint      NOT NULL CHECK (sequence >= 0),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    gone_at            timestamptz,
    -- The transaction that wrote the row last: readers of changes keep a cursor over it, because ids and times are
    -- taken before the commit and would let a reader skip what is committed late.
    changed_txid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((gone_at IS NOT NULL) = (state IN ('destroyed', 'released'))),
    CHECK (state NOT IN ('changing', 'destroying', 'ready', 'destroyed') OR fence > 0)
) WITH (fillfactor = 85);

CREATE TABLE requests (
    id                 uuid        PRIMARY KEY,
    action             text        NOT NULL CHECK (action IN ('create', 'destroy')),
    offering           text        NOT NULL,
    offering_version   text        NOT NULL,
    offering_digest    text        NOT NULL,
    -- Deferred, because a request and the instance it reserves name each other.
    instance_id        uuid        REFERENCES instances (id) DEFERRABLE INITIALLY DEFERRED,
    generation         bigint      NOT NULL CHECK (generation >= 0),
    environment        text        NOT NULL,
    name               text        NOT NULL,
    owner              text        NOT NULL,
    cost_center        text        NOT NULL,
    parameters         jsonb       NOT NULL,
    state              text        NOT NULL CHECK (state IN
        ('submitted', 'queued', 'planning', 'awaiting_approval', 'applying', 'lost',
         'succeeded', 'failed', 'denied', 'cancelled')),
    waiting            text        NOT NULL,
    requested_by       text        NOT NULL CHECK (requested_by <> ''),
    actor              text        NOT NULL,
    task               text        NOT NULL,
    idempotency_key    text        NOT NULL,
    body_digest        text        NOT NULL,
    monthly_cost_mills bigint,
    verdict            jsonb       NOT NULL,
    cancel_reason      text        NOT NULL,
    error              jsonb,
    outputs            jsonb,
    steps              jsonb       NOT NULL,
    sequence           bigint      NOT NULL CHECK (sequence > 0),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    finished_at        timestamptz,
    CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'denied', 'cancelled'))),
    CHECK (state = 'denied' OR (instance_id IS NOT NULL AND generation > 0)),
    CHECK (state NOT IN ('failed', 'denied', 'cancelled') OR error IS NOT NULL),
    CHECK (waiting = '' OR state IN ('queued', 'awaiting_approval', 'lost')),
    CHECK (outputs IS NULL OR state = 'succeeded')
) WITH (fillfactor = 85);
ALTER TABLE instances ADD CONSTRAINT instances_request_id_fkey
    FOREIGN KEY (request_id) REFERENCES requests (id) DEFERRABLE INITIALLY DEFERRED;

-- Before the other unique indexes: a repeat of an accepted ask breaks several, and must be told as the repeat it is.
CREATE UNIQUE INDEX requests_idempotency ON requests (requested_by, idempotency_key) WHERE idempotency_key <> '';
CREATE UNIQUE INDEX requests_one_live_per_instance ON requests (instance_id)
    WHERE state NOT IN ('succeeded', 'failed', 'denied', 'cancelled');
CREATE INDEX requests_by_time ON requests (created_at DESC, id DESC);
CREATE INDEX requests_by_owner ON requests (owner, created_at DESC, id DESC);
CREATE INDEX requests_by_requester ON requests (requested_by, created_at DESC, id DESC);
CREATE INDEX requests_by_instance ON requests (instance_id, created_at DESC, id DESC);
CREATE INDEX requests_queued ON requests (created_at, id) WHERE state = 'queued';

CREATE UNIQUE INDEX instances_name ON instances (offering, environment, name) WHERE state NOT IN ('destroyed', 'released');
CREATE INDEX instances_by_time ON instances (created_at DESC, id DESC) WHERE state NOT IN ('destroyed', 'released');
CREATE INDEX instances_by_owner ON instances (owner, created_at DESC, id DESC) WHERE state NOT IN ('destroyed', 'released');
CREATE INDEX instances_by_request ON instances (request_id);
CREATE INDEX instances_changed ON instances (changed_txid);

CREATE TABLE runs (
    id               uuid        PRIMARY KEY,
    request_id       uuid        NOT NULL REFERENCES requests (id),
    instance_id      uuid        NOT NULL REFERENCES instances (id),
    pool             text        NOT NULL CHECK (pool <> ''),
    state            text        NOT NULL CHECK (state IN ('dispatched', 'claimed', 'ended')),
    fence            bigint      NOT NULL CHECK (fence >= 0),
    worker           text        NOT NULL,
    token_digest     text        NOT NULL,
    lease_expires_at timestamptz,
    report_sequence  bigint      NOT NULL CHECK (report_sequence >= 0),
    dispatched_at    timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK (state <> 'dispatched' OR (fence = 0 AND worker = '' AND lease_expires_at IS NULL)),
    CHECK (state <> 'claimed' OR (fence > 0 AND worker <> '' AND token_digest <> '' AND lease_expires_at IS NOT NULL)),
    CHECK ((fence > 0) = (worker <> ''))
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX runs_one_live_per_request ON runs (request_id) WHERE state <> 'ended';
CREATE UNIQUE INDEX runs_one_per_fence ON runs (instance_id, fence) WHERE fence > 0;
CREATE INDEX runs_by_request ON runs (request_id, dispatched_at DESC, id DESC);
CREATE INDEX runs_live ON runs (pool, dispatched_at) WHERE state <> 'ended';
CREATE INDEX runs_leased ON runs (lease_expires_at) WHERE state = 'claimed';

CREATE TABLE verdicts (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id    uuid        NOT NULL REFERENCES requests (id),
    stage         text        NOT NULL CHECK (stage IN ('submit', 'queue', 'plan')),
    outcome       text        NOT NULL CHECK (outcome IN ('allow', 'warn', 'require_approval', 'deny')),
    findings      jsonb       NOT NULL,
    estimate      jsonb,
    bundle_digest text        NOT NULL,
    prices_digest text        NOT NULL,
    input         jsonb       NOT NULL,
    at            timestamptz NOT NULL
);
CREATE INDEX verdicts_by_request ON verdicts (request_id, id);

CREATE TABLE events (
    subject_id  uuid        NOT NULL,
    sequence    bigint      NOT NULL CHECK (sequence > 0),
    id          uuid        NOT NULL,
    entity      text        NOT NULL CHECK (entity IN ('request', 'step', 'run', 'instance', 'credentials')),
    verb        text        NOT NULL CHECK (verb ~ '^[a-z_]+$'),
    environment text        NOT NULL,
    at          timestamptz NOT NULL,
    data        jsonb       NOT NULL,
    PRIMARY KEY (subject_id, sequence)
);

-- Events that no one has published yet: written with them, deleted once the stream has acknowledged them.
CREATE TABLE outbox (
    event_id   uuid        PRIMARY KEY,
    subject_id uuid        NOT NULL,
    sequence   bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_by_time ON outbox (created_at, event_id);

-- Every Terraform state that was ever pushed, sealed. Fencing only decides which one is head.
CREATE TABLE states (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id uuid        NOT NULL REFERENCES instances (id),
    run_id      uuid        NOT NULL REFERENCES runs (id),
    fence       bigint      NOT NULL,
    serial      bigint      NOT NULL,
    lineage     text        NOT NULL,
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    sealed      bytea       NOT NULL,
    head        boolean     NOT NULL,
    pushed_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (instance_id, fence, serial, digest)
);
ALTER TABLE states ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX states_head ON states (instance_id) WHERE head;
CREATE INDEX states_by_run ON states (run_id);

CREATE TABLE log_lines (
    request_id uuid        NOT NULL REFERENCES requests (id),
    position   bigint      NOT NULL CHECK (position > 0),
    run_id     uuid        NOT NULL REFERENCES runs (id),
    fence      bigint      NOT NULL,
    number     bigint      NOT NULL CHECK (number > 0),
    at         timestamptz NOT NULL,
    text       text        NOT NULL,
    PRIMARY KEY (request_id, position),
    UNIQUE (run_id, fence, number)
);

-- Makes a statement that had to find exactly one row fail when it did not, and with it the transaction it is sent in.
-- +goose StatementBegin
CREATE FUNCTION roadbed_found(n bigint, what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF n <> 1 THEN
        RAISE EXCEPTION '%', what USING ERRCODE = 'RB409';
    END IF;
    RETURN true;
END
$$;
-- +goose StatementEnd
