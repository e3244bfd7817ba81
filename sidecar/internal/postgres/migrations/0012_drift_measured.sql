-- Drift is measured by what was told of it, without reading every other event.

-- +goose Up

CREATE INDEX events_of_drift ON events (at) WHERE entity = 'drift';
