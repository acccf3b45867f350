-- Looks at a customer that nobody signals: the ones that confirm a signal's answer, and the rolling verification.

-- When the next confirming look is due; NULL while none is planned.
ALTER TABLE upstream_customer ADD COLUMN confirm_at BIGINT;

-- How many confirming looks are owed; a new signal begins the series anew.
ALTER TABLE upstream_customer ADD COLUMN confirms_left BIGINT NOT NULL DEFAULT 0;

-- When a look at it was last settled, whatever it found: what the rolling verification goes by. NULL while nobody has
-- to look again: it was never looked at, or has no active relationship.
ALTER TABLE upstream_customer ADD COLUMN looked_at BIGINT;

UPDATE upstream_customer SET looked_at = verified_at;

-- Finds the confirming looks that are due.
CREATE INDEX upstream_customer_confirm ON upstream_customer (account, confirm_at)
    WHERE confirm_at IS NOT NULL;

-- Finds the customers whose last look is longest ago, among those that nobody waits for.
CREATE INDEX upstream_customer_looked_at ON upstream_customer (account, looked_at)
    WHERE looked_at IS NOT NULL AND settled = marked;

-- How many calls a minute the account's worker may make, as it last noted: what the promise is computed from.
ALTER TABLE account_sync ADD COLUMN calls_per_minute BIGINT;
