-- An instance may live for a while only: it is told of its end, ends by itself, and can be asked to live longer.

-- +goose Up

ALTER TABLE requests ADD COLUMN lifetime_seconds bigint NOT NULL DEFAULT 0 CHECK (lifetime_seconds >= 0); -- 0 is without end

ALTER TABLE instances
    ADD COLUMN lifetime_seconds  bigint NOT NULL DEFAULT 0 CHECK (lifetime_seconds >= 0),
    ADD COLUMN grace_seconds     bigint NOT NULL DEFAULT 0 CHECK (grace_seconds >= 0),
    ADD COLUMN expires_at        timestamptz, -- NULL: it lives without an end
    ADD COLUMN expiry_warn_at    timestamptz, -- NULL once its owner has been told
    ADD COLUMN expiry_destroy_at timestamptz, -- when its end is asked for, or asked for again
    ADD CHECK ((lifetime_seconds > 0) = (expires_at IS NOT NULL)),
    ADD CHECK ((expires_at IS NULL) = (expiry_destroy_at IS NULL));
CREATE INDEX instances_expiry_warn ON instances (expiry_warn_at) WHERE expiry_warn_at IS NOT NULL AND gone_at IS NULL;
CREATE INDEX instances_expiry_destroy ON instances (expiry_destroy_at) WHERE expiry_destroy_at IS NOT NULL AND gone_at IS NULL;
