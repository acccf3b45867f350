-- The trial of new or changed credentials: before the first sync with them, what they show is compared with what is known.

-- Which secret this is, without telling it: drawn at random whenever another secret or another application is set, and kept
-- when the same is set again.
ALTER TABLE partner_account_credentials ADD COLUMN identity BYTEA;
UPDATE partner_account_credentials SET identity = decode(replace(gen_random_uuid()::text, '-', ''), 'hex');

-- One row is one acceptance of credentials: from then on the account is synchronized with these. The newest one counts. Rows
-- are kept for good, because they tell who let which credentials in, and after what they had shown.
CREATE TABLE credential_acceptance (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    -- 1, 2, 3 … in each account.
    number BIGINT NOT NULL CHECK (number >= 1),
    -- A keyed hash of whatever signs in; nothing of a secret can be read from it.
    fingerprint BYTEA NOT NULL CHECK (length(fingerprint) = 32),
    -- Why: there was nobody to lose; the account was synchronized before trials existed; little differs; an operator said so.
    grounds TEXT COLLATE "C" NOT NULL CHECK (grounds IN ('NOBODY_TO_LOSE', 'KNOWN_BEFORE', 'LITTLE_DIFFERS', 'OPERATOR')),
    accepted_by TEXT COLLATE "C" NOT NULL,
    accepted_at BIGINT NOT NULL,
    -- What the dry run had found; NULL where none was needed.
    listed BIGINT,
    active BIGINT,
    present BIGINT,
    missing BIGINT,
    appeared BIGINT,
    renamed BIGINT,
    sampled BIGINT,
    differing BIGINT,
    PRIMARY KEY (account, number),
    CONSTRAINT credential_acceptance_after_a_dry_run CHECK (
        grounds IN ('NOBODY_TO_LOSE', 'KNOWN_BEFORE') OR (
            listed IS NOT NULL AND active IS NOT NULL AND present IS NOT NULL AND missing IS NOT NULL
            AND appeared IS NOT NULL AND renamed IS NOT NULL AND sampled IS NOT NULL AND differing IS NOT NULL
        )
    )
);

CREATE FUNCTION credential_acceptance_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: who accepted which credentials never changes';
END
$$;
CREATE TRIGGER credential_acceptance_never_changes BEFORE UPDATE ON credential_acceptance
    FOR EACH ROW EXECUTE FUNCTION credential_acceptance_never_changes();

CREATE FUNCTION credential_acceptance_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: who accepted which credentials is never deleted';
END
$$;
CREATE TRIGGER credential_acceptance_stays BEFORE DELETE ON credential_acceptance
    FOR EACH ROW EXECUTE FUNCTION credential_acceptance_stays();

-- One row is the dry run of an account's present credentials: under way, waiting for an operator, or the one after which
-- they were accepted. Credentials that needed none have no row.
CREATE TABLE credential_trial (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    fingerprint BYTEA NOT NULL CHECK (length(fingerprint) = 32),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('TRYING', 'WAITING', 'ACCEPTED')),
    started_at BIGINT NOT NULL,
    -- What it found; NULL before it came to its end.
    finished_at BIGINT,
    listed BIGINT,
    active BIGINT,
    present BIGINT,
    missing BIGINT,
    appeared BIGINT,
    renamed BIGINT,
    sampled BIGINT,
    differing BIGINT,
    accepted_at BIGINT,
    accepted_by TEXT COLLATE "C",
    CONSTRAINT credential_trial_is_judged_at_its_end CHECK ((state = 'TRYING') = (finished_at IS NULL)),
    CONSTRAINT credential_trial_says_what_it_found CHECK (
        finished_at IS NULL OR (
            listed IS NOT NULL AND active IS NOT NULL AND present IS NOT NULL AND missing IS NOT NULL
            AND appeared IS NOT NULL AND renamed IS NOT NULL AND sampled IS NOT NULL AND differing IS NOT NULL
        )
    ),
    CONSTRAINT credential_trial_says_who_accepted CHECK (
        (state = 'ACCEPTED') = (accepted_at IS NOT NULL) AND (accepted_at IS NULL) = (accepted_by IS NULL)
    )
);

-- One row is a tenant that the dry run under way has met in the list. Forgotten when it ends, and when the next one begins.
CREATE TABLE credential_trial_seen (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    -- Whether the last list told another name, domain or relationship.
    is_renamed BOOLEAN NOT NULL,
    PRIMARY KEY (account, tenant_id)
);

-- TRUNCATE asks no trigger of a row.
CREATE TRIGGER credential_acceptance_is_not_truncated BEFORE TRUNCATE ON credential_acceptance
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
