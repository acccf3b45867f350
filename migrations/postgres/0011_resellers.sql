-- Which reseller of an indirect provider serves which customer.

-- One row is one indirect reseller Partner Center has ever listed for an account.
CREATE TABLE reseller (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    mpn_id TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL,
    -- The state of the relationship in Partner Center's own word.
    state TEXT COLLATE "C" NOT NULL,
    -- Whether the last list that was read to its end had it.
    active BOOLEAN NOT NULL,
    -- When such a list last had it.
    seen_at BIGINT NOT NULL,
    -- When its customers were last read to the end, and in which round; NULL before the first time.
    read_at BIGINT,
    read_round BIGINT,
    -- The last list of its customers was empty, which does not count before a second one is.
    was_empty BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (account, tenant_id)
);

-- One row is one customer and one reseller that serves it, as read (`listed`) and as readers of the customer see it
-- (`shown`, and the names with it). What is read becomes what is shown by a change of the customer, and not while the
-- customer is paused, has ended, or is not there yet.
CREATE TABLE customer_reseller (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    -- The customer's tenant.
    tenant_id TEXT COLLATE "C" NOT NULL,
    reseller_id TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL DEFAULT '',
    mpn_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    listed BOOLEAN NOT NULL,
    shown BOOLEAN NOT NULL,
    -- Whether what is shown may have to follow what is listed.
    pending BOOLEAN NOT NULL,
    PRIMARY KEY (account, tenant_id, reseller_id),
    CONSTRAINT customer_reseller_differs_only_while_pending CHECK (listed = shown OR pending)
);

-- Finds the customers of a reseller: those that it serves, and those that a new list of it lacks.
CREATE INDEX customer_reseller_of_reseller ON customer_reseller (reseller_id, account, tenant_id);

-- Finds the customers that have to follow.
CREATE INDEX customer_reseller_pending ON customer_reseller (account, tenant_id) WHERE pending;

-- One row is how the reading of an indirect provider's resellers stands.
CREATE TABLE reseller_sync (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Whether calls can be made on behalf of a user, as the account's worker last noted.
    has_user BOOLEAN NOT NULL,
    -- A reading is due while round < wanted. Counters only grow, so that no wish is lost in a reading that began before.
    wanted BIGINT NOT NULL,
    round BIGINT NOT NULL DEFAULT 0,
    -- When the newest round began, and whether it is under way: then the list of resellers has been read to its end.
    began_at BIGINT,
    under_way BOOLEAN NOT NULL DEFAULT FALSE,
    -- When a round last reached its end.
    read_at BIGINT,
    -- The last list of resellers was empty, which does not count before a second one is.
    was_empty BOOLEAN NOT NULL DEFAULT FALSE,
    -- Why the resellers cannot be read, if they cannot.
    problem_reason TEXT COLLATE "C",
    problem_detail TEXT COLLATE "C",
    problem_since BIGINT
);
