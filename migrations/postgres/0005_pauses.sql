-- Pauses of one customer, what is remembered of removals that waited for an operator, and of records that cannot be applied.

-- While a customer is paused, what Partner Center says of it is not applied: it stays dirty and nobody looks.
ALTER TABLE upstream_customer ADD COLUMN paused_at BIGINT;
ALTER TABLE upstream_customer ADD COLUMN paused_by TEXT COLLATE "C"
    CONSTRAINT upstream_customer_pause_says_who CHECK ((paused_by IS NULL) = (paused_at IS NULL));
ALTER TABLE upstream_customer ADD COLUMN pause_reason TEXT COLLATE "C"
    CONSTRAINT upstream_customer_pause_says_why CHECK ((pause_reason IS NULL) = (paused_at IS NULL));

-- Since when its removal waits for an operator, while it does.
ALTER TABLE upstream_customer ADD COLUMN held_at BIGINT;
-- When an operator said last that it stays; its next removal is decided by an operator again. NULL once it was seen.
ALTER TABLE upstream_customer ADD COLUMN removal_dismissed_at BIGINT;

-- Takes the next dirty customers: most urgent first. A paused one is nobody's work.
DROP INDEX upstream_customer_dirty;
CREATE INDEX upstream_customer_dirty ON upstream_customer (account, priority DESC, not_before, tenant_id)
    WHERE settled < marked AND paused_at IS NULL;

-- Counts what a run still waits for; it does not wait for the paused.
DROP INDEX upstream_customer_wanted;
CREATE INDEX upstream_customer_wanted ON upstream_customer (account, wanted_by_run)
    WHERE settled < marked AND wanted_by_run IS NOT NULL AND paused_at IS NULL;

-- Counts the paused customers.
CREATE INDEX upstream_customer_paused ON upstream_customer (account) WHERE paused_at IS NOT NULL;

-- Finds the removals that wait for an operator.
CREATE INDEX customer_held ON customer (account, microsoft_tenant_id) WHERE sync_state = 'HELD_FOR_REMOVAL';

-- Why its record in Partner Center cannot be applied. Not `problem`, which a look that fails replaces.
ALTER TABLE upstream_customer ADD COLUMN unusable TEXT COLLATE "C";
UPDATE upstream_customer SET unusable = problem WHERE problem IS NOT NULL AND attempts = 0;

-- Counts those whose record cannot be applied.
CREATE INDEX upstream_customer_unusable ON upstream_customer (account) WHERE unusable IS NOT NULL;
