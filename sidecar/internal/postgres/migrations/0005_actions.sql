-- An instance can be asked for more than its making and its end.

-- +goose Up

ALTER TABLE requests DROP CONSTRAINT requests_action_check;
ALTER TABLE requests ADD CONSTRAINT requests_action_check
    CHECK (action IN ('create', 'update', 'upgrade', 'destroy', 'hand_over', 'rotate', 'import'));
