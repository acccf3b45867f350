-- What a run cost, how a customer was verified, and who changed it upstream.

-- What asked for the look that waits: that of the most urgent mark. NULL while nobody waits, and for marks that are older
-- than this column.
ALTER TABLE upstream_customer ADD COLUMN cause TEXT COLLATE "C"
    CONSTRAINT upstream_customer_cause_known CHECK (
        cause IN ('AUDIT_LOG', 'WEBHOOK', 'CUSTOMER_LIST', 'NIGHT', 'ROLLING', 'CONFIRMATION', 'REFRESH', 'MANUAL_SYNC')
    );
-- What asked last. When a look is settled and something has asked meanwhile, that is what asks for the next.
ALTER TABLE upstream_customer ADD COLUMN newest_cause TEXT COLLATE "C";
-- What asked for the look that gave `verified_at`.
ALTER TABLE upstream_customer ADD COLUMN verified_by TEXT COLLATE "C";
-- The list shows the customer several times and differently: all of these entries, in their order, as JSON. One of them
-- is in the columns `listed_…`. NULL while it is shown in one way only.
ALTER TABLE upstream_customer ADD COLUMN listed_also TEXT COLLATE "C";
-- The change of the customer that Partner Center made last, in the change log; its row in `upstream_change` tells who did
-- it, if anything does.
ALTER TABLE upstream_customer ADD COLUMN change_sequence BIGINT;

-- Customers that the complete list before this run held; NULL when there was none.
ALTER TABLE sync_run ADD COLUMN expected BIGINT;
-- Entries of the list about a customer that it had shown before.
ALTER TABLE sync_run ADD COLUMN duplicates BIGINT NOT NULL DEFAULT 0;
-- Calls to Partner Center made for the run, and those of them that asked again what had failed.
ALTER TABLE sync_run ADD COLUMN calls BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sync_run ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
-- Answers 429 that the account met meanwhile, and for how many microseconds it was told to rest.
ALTER TABLE sync_run ADD COLUMN throttles BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sync_run ADD COLUMN throttled_for BIGINT NOT NULL DEFAULT 0;
-- How often the page that is read next has failed.
ALTER TABLE sync_run ADD COLUMN page_tries BIGINT NOT NULL DEFAULT 0;
-- How far it is, in percent; never smaller than before.
ALTER TABLE sync_run ADD COLUMN progress BIGINT NOT NULL DEFAULT 0;

-- One row is one succeeded record of the audit log that may explain the next change of its customer. It is erased when it
-- has explained one, or when the looks it asked for found nothing. No value of a customer is in it; `actor_user` is
-- personal data of the partner's staff.
CREATE TABLE audit_signal (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    record_id TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    actor_user TEXT COLLATE "C" NOT NULL,
    actor_application TEXT COLLATE "C" NOT NULL,
    -- When it was done; NULL when the record does not say.
    operation_at BIGINT,
    -- The mark of the customer that it made: only a look that was taken with this mark may be explained by it.
    marked BIGINT NOT NULL,
    met_at BIGINT NOT NULL,
    PRIMARY KEY (account, tenant_id, record_id)
);

-- Forgets what nobody has used for as long as changes are kept.
CREATE INDEX audit_signal_by_age ON audit_signal (met_at);

-- One row says who in Partner Center made one change of the change log. Not a column there, so that it can be erased: it
-- goes with its change, but for the newest of each customer. `actor_user` is personal data of the partner's staff.
CREATE TABLE upstream_change (
    -- The change's place in the change log.
    sequence BIGINT PRIMARY KEY NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    record_id TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    actor_user TEXT COLLATE "C" NOT NULL,
    actor_application TEXT COLLATE "C" NOT NULL,
    operation_at BIGINT
);

-- One row is one time that Partner Center told an account to slow down; kept for a day.
CREATE TABLE throttling (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    at BIGINT NOT NULL,
    -- How many answers said so together.
    answers BIGINT NOT NULL,
    PRIMARY KEY (account, at)
);
