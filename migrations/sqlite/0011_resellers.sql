-- Which reseller of an indirect provider serves which customer.

-- One row is one indirect reseller Partner Center has ever listed for an account.
CREATE TABLE reseller (
    account TEXT NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    mpn_id TEXT NOT NULL,
    location TEXT NOT NULL,
    -- The state of the relationship in Partner Center's own word.
    state TEXT NOT NULL,
    -- Whether the last list that was read to its end had it.
    active INTEGER NOT NULL CONSTRAINT reseller_active_is_yes_or_no CHECK (active IN (0, 1)),
    -- When such a list last had it.
    seen_at INTEGER NOT NULL,
    -- When its customers were last read to the end, and in which round; NULL before the first time.
    read_at INTEGER,
    read_round INTEGER,
    -- The last list of its customers was empty, which does not count before a second one is.
    was_empty INTEGER NOT NULL DEFAULT 0 CONSTRAINT reseller_was_empty_is_yes_or_no CHECK (was_empty IN (0, 1)),
    PRIMARY KEY (account, tenant_id)
) STRICT, WITHOUT ROWID;

-- One row is one customer and one reseller that serves it, as read (`listed`) and as readers of the customer see it
-- (`shown`, and the names with it). What is read becomes what is shown by a change of the customer, and not while the
-- customer is paused, has ended, or is not there yet.
CREATE TABLE customer_reseller (
    account TEXT NOT NULL REFERENCES partner_account (id),
    -- The customer's tenant.
    tenant_id TEXT NOT NULL,
    reseller_id TEXT NOT NULL,
    display_name TEXT NOT NULL DEFAULT '',
    mpn_id TEXT NOT NULL DEFAULT '',
    listed INTEGER NOT NULL CONSTRAINT customer_reseller_listed_is_yes_or_no CHECK (listed IN (0, 1)),
    shown INTEGER NOT NULL CONSTRAINT customer_reseller_shown_is_yes_or_no CHECK (shown IN (0, 1)),
    -- Whether what is shown may have to follow what is listed.
    pending INTEGER NOT NULL CONSTRAINT customer_reseller_pending_is_yes_or_no CHECK (pending IN (0, 1)),
    PRIMARY KEY (account, tenant_id, reseller_id),
    CONSTRAINT customer_reseller_differs_only_while_pending CHECK (listed = shown OR pending)
) STRICT, WITHOUT ROWID;

-- Finds the customers of a reseller: those that it serves, and those that a new list of it lacks.
CREATE INDEX customer_reseller_of_reseller ON customer_reseller (reseller_id, account, tenant_id);

-- Finds the customers that have to follow.
CREATE INDEX customer_reseller_pending ON customer_reseller (account, tenant_id) WHERE pending;

-- One row is how the reading of an indirect provider's resellers stands.
CREATE TABLE reseller_sync (
    account TEXT PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Whether calls can be made on behalf of a user, as the account's worker last noted.
    has_user INTEGER NOT NULL CONSTRAINT reseller_sync_has_user_is_yes_or_no CHECK (has_user IN (0, 1)),
    -- A reading is due while round < wanted. Counters only grow, so that no wish is lost in a reading that began before.
    wanted INTEGER NOT NULL,
    round INTEGER NOT NULL DEFAULT 0,
    -- When the newest round began, and whether it is under way: then the list of resellers has been read to its end.
    began_at INTEGER,
    under_way INTEGER NOT NULL DEFAULT 0 CONSTRAINT reseller_sync_under_way_is_yes_or_no CHECK (under_way IN (0, 1)),
    -- When a round last reached its end.
    read_at INTEGER,
    -- The last list of resellers was empty, which does not count before a second one is.
    was_empty INTEGER NOT NULL DEFAULT 0 CONSTRAINT reseller_sync_was_empty_is_yes_or_no CHECK (was_empty IN (0, 1)),
    -- Why the resellers cannot be read, if they cannot.
    problem_reason TEXT,
    problem_detail TEXT,
    problem_since INTEGER
) STRICT;
