-- What living instances cost together is counted as it changes, so that a budget holds however many ask at once.

-- +goose Up

ALTER TABLE instances
    ADD COLUMN reserved_mills  bigint NOT NULL DEFAULT 0 CHECK (reserved_mills >= 0),
    ADD COLUMN committed_mills bigint NOT NULL DEFAULT 0 CHECK (committed_mills >= 0);

-- The sums over the living instances by who pays for them, moved in the transaction that moves an instance.
CREATE TABLE balances (
    kind            text   NOT NULL CHECK (kind IN ('team', 'cost_center', 'environment')),
    name            text   NOT NULL CHECK (name <> ''),
    reserved_mills  bigint NOT NULL CHECK (reserved_mills >= 0),
    committed_mills bigint NOT NULL CHECK (committed_mills >= 0),
    PRIMARY KEY (kind, name)
) WITH (fillfactor = 50);

-- What is there already: a create that has not begun to apply is reserved, the rest is committed.
UPDATE instances
   SET reserved_mills  = CASE WHEN state = 'reserved' THEN COALESCE(monthly_cost_mills, 0) ELSE 0 END,
       committed_mills = CASE WHEN state = 'reserved' THEN 0 ELSE COALESCE(monthly_cost_mills, 0) END
 WHERE state NOT IN ('destroyed', 'released');
INSERT INTO balances (kind, name, reserved_mills, committed_mills)
SELECT payer.kind, payer.name, sum(i.reserved_mills), sum(i.committed_mills)
  FROM instances i
 CROSS JOIN LATERAL (VALUES ('team', i.owner), ('cost_center', i.cost_center), ('environment', i.environment)) AS payer (kind, name)
 WHERE i.state NOT IN ('destroyed', 'released') AND payer.name <> ''
 GROUP BY payer.kind, payer.name;

ALTER TABLE instances
    ADD CONSTRAINT instances_gone_cost_nothing
    CHECK (state NOT IN ('destroyed', 'released') OR (reserved_mills = 0 AND committed_mills = 0));

-- Moves a balance, unless that would raise it above the cap. Then it fails, and with it the transaction it is sent in.
-- NULL is no cap. The row stays locked until the end of that transaction, so it is to be the last that is written.
-- +goose StatementBegin
CREATE FUNCTION roadbed_spend(k text, n text, reserved bigint, committed bigint, cap bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO balances AS b (kind, name, reserved_mills, committed_mills)
    SELECT k, n, GREATEST(reserved, 0), GREATEST(committed, 0)
     WHERE cap IS NULL OR reserved + committed <= GREATEST(cap, 0)
    ON CONFLICT (kind, name) DO UPDATE
       SET reserved_mills = b.reserved_mills + reserved, committed_mills = b.committed_mills + committed
     WHERE cap IS NULL OR reserved + committed <= 0 OR b.reserved_mills + b.committed_mills + reserved + committed <= cap;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the budget of % % has less left', k, n USING ERRCODE = 'RB402';
    END IF;
END
$$;
-- +goose StatementEnd
