-- How long something takes is told from the newest of its kind that succeeded.

-- +goose Up

CREATE INDEX requests_of_kind ON requests (offering, offering_version, action, finished_at DESC) WHERE state = 'succeeded';
