-- Partner accounts that come from the API.

-- Where an account comes from: the service's configuration, or a call.
ALTER TABLE partner_account ADD COLUMN origin TEXT NOT NULL DEFAULT 'CONFIGURATION'
    CONSTRAINT partner_account_origin_known CHECK (origin IN ('CONFIGURATION', 'API'));
-- Whether it is synchronized.
ALTER TABLE partner_account ADD COLUMN state TEXT NOT NULL DEFAULT 'ACTIVE'
    CONSTRAINT partner_account_state_known CHECK (state IN ('ACTIVE', 'DISABLED'));
-- Grows with every change of the account; its etag.
ALTER TABLE partner_account ADD COLUMN revision INTEGER NOT NULL DEFAULT 1
    CONSTRAINT partner_account_revision_starts_at_one CHECK (revision >= 1);
-- The application that signs in; empty before anybody said.
ALTER TABLE partner_account ADD COLUMN client_id TEXT NOT NULL DEFAULT '';

-- One row is how an account is kept level, as far as it says so itself: what is NULL is as the service's configuration
-- says. Durations are microseconds.
CREATE TABLE partner_account_settings (
    account TEXT PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    night TEXT,
    time_zone TEXT,
    audit_interval INTEGER,
    list_interval INTEGER,
    verify_within INTEGER,
    manual_sync_cooldown INTEGER,
    requests_per_minute INTEGER,
    concurrency INTEGER
) STRICT;

-- One row is the secret by which an account of the API signs in, sealed under a key that is not in the database.
CREATE TABLE partner_account_credentials (
    account TEXT PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Grows whenever the secret is set, so that whoever uses the old one notices.
    generation INTEGER NOT NULL,
    -- AES-256-GCM, bound to the account and its client id: a row that is copied to another account does not open.
    sealed_secret BLOB NOT NULL,
    -- Which key opens it; tells nothing about the key.
    key_id TEXT NOT NULL,
    set_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER partner_account_keeps_its_tenant BEFORE UPDATE ON partner_account
WHEN (new.id, new.tenant_id) IS NOT (old.id, old.tenant_id)
BEGIN
    SELECT RAISE(ABORT, 'guard: the id and the tenant of a partner account never change');
END;

CREATE TRIGGER partner_account_credentials_are_of_the_api BEFORE INSERT ON partner_account_credentials
WHEN (SELECT origin FROM partner_account WHERE id = new.account) IS NOT 'API'
BEGIN
    SELECT RAISE(ABORT, 'guard: the secret of an account of the configuration is in its file and nowhere else');
END;
