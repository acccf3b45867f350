-- Partner accounts that come from the API.

-- Where an account comes from: the service's configuration, or a call.
ALTER TABLE partner_account ADD COLUMN origin TEXT COLLATE "C" NOT NULL DEFAULT 'CONFIGURATION'
    CONSTRAINT partner_account_origin_known CHECK (origin IN ('CONFIGURATION', 'API'));
-- Whether it is synchronized.
ALTER TABLE partner_account ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'ACTIVE'
    CONSTRAINT partner_account_state_known CHECK (state IN ('ACTIVE', 'DISABLED'));
-- Grows with every change of the account; its etag.
ALTER TABLE partner_account ADD COLUMN revision BIGINT NOT NULL DEFAULT 1
    CONSTRAINT partner_account_revision_starts_at_one CHECK (revision >= 1);
-- The application that signs in; empty before anybody said.
ALTER TABLE partner_account ADD COLUMN client_id TEXT COLLATE "C" NOT NULL DEFAULT '';

-- One row is how an account is kept level, as far as it says so itself: what is NULL is as the service's configuration
-- says. Durations are microseconds.
CREATE TABLE partner_account_settings (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    night TEXT COLLATE "C",
    time_zone TEXT COLLATE "C",
    audit_interval BIGINT,
    list_interval BIGINT,
    verify_within BIGINT,
    manual_sync_cooldown BIGINT,
    requests_per_minute BIGINT,
    concurrency BIGINT
);

-- One row is the secret by which an account of the API signs in, sealed under a key that is not in the database.
CREATE TABLE partner_account_credentials (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Grows whenever the secret is set, so that whoever uses the old one notices.
    generation BIGINT NOT NULL,
    -- AES-256-GCM, bound to the account and its client id: a row that is copied to another account does not open.
    sealed_secret BYTEA NOT NULL,
    -- Which key opens it; tells nothing about the key.
    key_id TEXT COLLATE "C" NOT NULL,
    set_at BIGINT NOT NULL
);

CREATE FUNCTION partner_account_keeps_its_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.id, new.tenant_id) IS DISTINCT FROM (old.id, old.tenant_id)
    THEN
        RAISE EXCEPTION 'guard: the id and the tenant of a partner account never change';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER partner_account_keeps_its_tenant BEFORE UPDATE ON partner_account
    FOR EACH ROW EXECUTE FUNCTION partner_account_keeps_its_tenant();

CREATE FUNCTION partner_account_credentials_are_of_the_api() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT origin FROM partner_account WHERE id = new.account) IS DISTINCT FROM 'API'
    THEN
        RAISE EXCEPTION 'guard: the secret of an account of the configuration is in its file and nowhere else';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER partner_account_credentials_are_of_the_api BEFORE INSERT ON partner_account_credentials
    FOR EACH ROW EXECUTE FUNCTION partner_account_credentials_are_of_the_api();
