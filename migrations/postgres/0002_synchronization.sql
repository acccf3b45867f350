-- What is known and owed about customers upstream: the work and the memory of synchronization.

-- One row is one customer id Partner Center has ever told an account about, and what is owed to it.
CREATE TABLE upstream_customer (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    -- What the customer list said last; NULL before it was ever listed.
    listed_name TEXT COLLATE "C",
    listed_domain TEXT COLLATE "C",
    listed_relationship TEXT COLLATE "C",
    -- Evidence of a removal (R9): complete lists in a row that lacked it, its audit record, the direct answer.
    missing_runs BIGINT NOT NULL DEFAULT 0,
    removal_recorded_at BIGINT,
    gone_answer TEXT COLLATE "C",
    gone_at BIGINT,
    -- The customer is dirty while settled < marked. Counters only grow, so that a late settle of an old mark
    -- can never erase a new one.
    marked BIGINT NOT NULL DEFAULT 0,
    settled BIGINT NOT NULL DEFAULT 0,
    priority BIGINT NOT NULL DEFAULT 0,
    -- The run that wants it fetched, while it is dirty.
    wanted_by_run TEXT COLLATE "C",
    not_before BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Why the last fetch could not be applied; for operators, without contact values.
    problem TEXT COLLATE "C",
    -- The newest observation: applied, agreed with, or an answer that it is gone.
    observed_epoch BIGINT NOT NULL DEFAULT 0,
    observed_ticket BIGINT NOT NULL DEFAULT 0,
    verified_at BIGINT,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (account, tenant_id),
    CONSTRAINT upstream_customer_settles_only_what_was_marked CHECK (settled <= marked)
);

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
CREATE FUNCTION upstream_customer_observation_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.observed_epoch, new.observed_ticket) < (old.observed_epoch, old.observed_ticket)
    THEN
        RAISE EXCEPTION 'guard R8: an older observation never overwrites a newer one';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER upstream_customer_observation_moves_forward BEFORE UPDATE OF observed_epoch, observed_ticket ON upstream_customer
    FOR EACH ROW EXECUTE FUNCTION upstream_customer_observation_moves_forward();

-- One row is one pass over an account's customer list, with or without fetching every customer.
CREATE TABLE sync_run (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CONSTRAINT sync_run_kind_known CHECK (kind IN ('FULL', 'LIST_DIFF')),
    cause TEXT COLLATE "C" NOT NULL CONSTRAINT sync_run_cause_known CHECK (cause IN ('FIRST', 'NIGHTLY', 'MANUAL', 'SCHEDULED')),
    state TEXT COLLATE "C" NOT NULL
        CONSTRAINT sync_run_state_known CHECK (state IN ('LISTING', 'FETCHING', 'SUCCEEDED', 'FAILED')),
    started_by TEXT COLLATE "C" NOT NULL,
    -- Where the listing goes on after a restart: the next link, as Partner Center gave it.
    next_link TEXT COLLATE "C",
    pages BIGINT NOT NULL DEFAULT 0,
    listed BIGINT NOT NULL DEFAULT 0,
    listing_restarts BIGINT NOT NULL DEFAULT 0,
    marked BIGINT NOT NULL DEFAULT 0,
    fetched BIGINT NOT NULL DEFAULT 0,
    unusable BIGINT NOT NULL DEFAULT 0,
    missing BIGINT NOT NULL DEFAULT 0,
    problem TEXT COLLATE "C",
    started_at BIGINT NOT NULL,
    listed_at BIGINT,
    finished_at BIGINT,
    PRIMARY KEY (account, id)
);

-- At most one run of a kind is under way in an account; a second caller joins it.
CREATE UNIQUE INDEX sync_run_of_a_kind_runs_alone ON sync_run (account, kind)
    WHERE state IN ('LISTING', 'FETCHING');

-- Lists the runs of an account, newest first.
CREATE INDEX sync_run_by_start ON sync_run (account, started_at);

-- One row is one page of the listing of a run that is under way: the ids it held, 16 bytes each.
CREATE TABLE sync_run_page (
    account TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    page BIGINT NOT NULL,
    tenant_ids BYTEA NOT NULL,
    PRIMARY KEY (account, run_id, page)
);

-- One row is one audit record that has been acted on, so that re-reading a day marks nobody twice.
CREATE TABLE audit_record_seen (
    account TEXT COLLATE "C" NOT NULL,
    record_id TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (account, record_id, status)
);

-- Forgets records older than the window that is re-read.
CREATE INDEX audit_record_seen_by_age ON audit_record_seen (account, seen_at);

-- One row is how synchronization of an account stands.
CREATE TABLE account_sync (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- When the audit log was last read to its end.
    audit_polled_at BIGINT,
    -- When the customer list was last read to its end.
    listed_at BIGINT,
    -- What keeps the account from being synchronized, if anything.
    problem_reason TEXT COLLATE "C",
    problem_detail TEXT COLLATE "C",
    problem_since BIGINT,
    -- Partner Center asked us to wait until then.
    throttled_until BIGINT,
    -- Who owns the webhook registration, as last seen: NONE, OURS or FOREIGN.
    webhook_state TEXT COLLATE "C",
    webhook_checked_at BIGINT
);
