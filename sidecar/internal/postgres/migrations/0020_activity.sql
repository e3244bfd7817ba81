-- Instances say whether anybody uses them: what their drift checks have measured, and what their owners answer.

-- +goose Up

CREATE TABLE instance_activity (
    instance_id  uuid  PRIMARY KEY REFERENCES instances (id),
    activity     jsonb NOT NULL, -- with some numbers of each day that counts
    unused_since timestamptz,    -- NULL when it is used, or nobody can tell
    told_at      timestamptz     -- when its owner was told that it is unused
) WITH (fillfactor = 85);
CREATE INDEX instance_activity_unused ON instance_activity (unused_since) WHERE unused_since IS NOT NULL;
