-- A request remembers the trace that it was asked for in, so that what becomes of it can be told there.

-- +goose Up

ALTER TABLE requests ADD COLUMN traceparent text NOT NULL DEFAULT ''; -- W3C Trace Context; '' when it is not traced
