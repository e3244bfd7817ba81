-- What people approve is judged by the policies in force when they do, and that verdict is kept too.

-- +goose Up

ALTER TABLE verdicts DROP CONSTRAINT verdicts_stage_check;
ALTER TABLE verdicts ADD CONSTRAINT verdicts_stage_check CHECK (stage IN ('submit', 'queue', 'plan', 'approval'));
