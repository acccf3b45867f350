-- What is known and owed about customers upstream: the work and the memory of synchronization.

-- One row is one customer id Partner Center has ever told an account about, and what is owed to it.
CREATE TABLE upstream_customer (
    account TEXT NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT NOT NULL,
    -- What the customer list said last; NULL before it was ever listed.
    listed_name TEXT,
    listed_domain TEXT,
    listed_relationship TEXT,
    -- Evidence of a removal (R9): complete lists in a row that lacked it, its audit record, the direct answer.
    missing_runs INTEGER NOT NULL DEFAULT 0,
    removal_recorded_at INTEGER,
    gone_answer TEXT,
    gone_at INTEGER,
    -- The customer is dirty while settled < marked. Counters only grow, so that a late settle of an old mark
    -- can never erase a new one.
    marked INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0,
    -- The run that wants it fetched, while it is dirty.
    wanted_by_run TEXT,
    not_before INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Why the last fetch could not be applied; for operators, without contact values.
    problem TEXT,
    -- The newest observation: applied, agreed with, or an answer that it is gone.
    observed_epoch INTEGER NOT NULL DEFAULT 0,
    observed_ticket INTEGER NOT NULL DEFAULT 0,
    verified_at INTEGER,
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (account, tenant_id),
    CONSTRAINT upstream_customer_settles_only_what_was_marked CHECK (settled <= marked)
) STRICT, WITHOUT ROWID;

-- Takes the next dirty customers: most urgent first.
CREATE INDEX upstream_customer_dirty ON upstream_customer (account, priority DESC, not_before, tenant_id)
    WHERE settled < marked;

-- Counts what a run still waits for.
CREATE INDEX upstream_customer_wanted ON upstream_customer (account, wanted_by_run)
    WHERE settled < marked AND wanted_by_run IS NOT NULL;

-- Finds the customers that may have to be ended.
CREATE INDEX upstream_customer_missing ON upstream_customer (account, tenant_id)
    WHERE missing_runs > 0;

-- R8, for an answer that was planned before a newer one was noted.
CREATE TRIGGER upstream_customer_observation_moves_forward
BEFORE UPDATE OF observed_epoch, observed_ticket ON upstream_customer
WHEN (new.observed_epoch, new.observed_ticket) < (old.observed_epoch, old.observed_ticket)
BEGIN
    SELECT RAISE(ABORT, 'guard R8: an older observation never overwrites a newer one');
END;

-- One row is one pass over an account's customer list, with or without fetching every customer.
CREATE TABLE sync_run (
    account TEXT NOT NULL REFERENCES partner_account (id),
    id TEXT NOT NULL,
    kind TEXT NOT NULL CONSTRAINT sync_run_kind_known CHECK (kind IN ('FULL', 'LIST_DIFF')),
    cause TEXT NOT NULL CONSTRAINT sync_run_cause_known CHECK (cause IN ('FIRST', 'NIGHTLY', 'MANUAL', 'SCHEDULED')),
    state TEXT NOT NULL
        CONSTRAINT sync_run_state_known CHECK (state IN ('LISTING', 'FETCHING', 'SUCCEEDED', 'FAILED')),
    started_by TEXT NOT NULL,
    -- Where the listing goes on after a restart: the next link, as Partner Center gave it.
    next_link TEXT,
    pages INTEGER NOT NULL DEFAULT 0,
    listed INTEGER NOT NULL DEFAULT 0,
    listing_restarts INTEGER NOT NULL DEFAULT 0,
    marked INTEGER NOT NULL DEFAULT 0,
    fetched INTEGER NOT NULL DEFAULT 0,
    unusable INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    problem TEXT,
    started_at INTEGER NOT NULL,
    listed_at INTEGER,
    finished_at INTEGER,
    PRIMARY KEY (account, id)
) STRICT;

-- At most one run of a kind is under way in an account; a second caller joins it.
CREATE UNIQUE INDEX sync_run_of_a_kind_runs_alone ON sync_run (account, kind)
    WHERE state IN ('LISTING', 'FETCHING');

-- Lists the runs of an account, newest first.
CREATE INDEX sync_run_by_start ON sync_run (account, started_at);

-- One row is one page of the listing of a run that is under way: the ids it held, 16 bytes each.
CREATE TABLE sync_run_page (
    account TEXT NOT NULL,
    run_id TEXT NOT NULL,
    page INTEGER NOT NULL,
    tenant_ids BLOB NOT NULL,
    PRIMARY KEY (account, run_id, page)
) STRICT, WITHOUT ROWID;

-- One row is one audit record that has been acted on, so that re-reading a day marks nobody twice.
CREATE TABLE audit_record_seen (
    account TEXT NOT NULL,
    record_id TEXT NOT NULL,
    status TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (account, record_id, status)
) STRICT, WITHOUT ROWID;

-- Forgets records older than the window that is re-read.
CREATE INDEX audit_record_seen_by_age ON audit_record_seen (account, seen_at);

-- One row is how synchronization of an account stands.
CREATE TABLE account_sync (
    account TEXT PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- When the audit log was last read to its end.
    audit_polled_at INTEGER,
    -- When the customer list was last read to its end.
    listed_at INTEGER,
    -- What keeps the account from being synchronized, if anything.
    problem_reason TEXT,
    problem_detail TEXT,
    problem_since INTEGER,
    -- Partner Center asked us to wait until then.
    throttled_until INTEGER,
    -- Who owns the webhook registration, as last seen: NONE, OURS or FOREIGN.
    webhook_state TEXT,
    webhook_checked_at INTEGER
) STRICT;
