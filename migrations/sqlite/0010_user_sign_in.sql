-- The user half of an account's credentials, and what kind its application's half is.

-- By what the application signs in; NULL while there is nothing. A certificate has an end.
ALTER TABLE partner_account ADD COLUMN credential_kind TEXT
    CONSTRAINT partner_account_credential_kind_known CHECK (credential_kind IN ('CLIENT_SECRET', 'CLIENT_CERTIFICATE'));
ALTER TABLE partner_account ADD COLUMN certificate_expires_at INTEGER
    CONSTRAINT partner_account_certificate_has_an_end
    CHECK ((certificate_expires_at IS NOT NULL) = (credential_kind IS 'CLIENT_CERTIFICATE'));

-- So far there were secrets only.
UPDATE partner_account SET credential_kind = 'CLIENT_SECRET'
WHERE origin = 'CONFIGURATION' OR id IN (SELECT account FROM partner_account_credentials);

-- One row is the refresh token with which an account's application acts for a user, sealed under a key that is not in the
-- database. Every use brings a newer one, so the row changes while the service runs, whatever the account comes from.
CREATE TABLE partner_account_refresh_token (
    account TEXT PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Grows with every change, from the microsecond of its first; whoever replaces the token says which version was read.
    version INTEGER NOT NULL,
    -- AES-256-GCM, bound to the account and its client id.
    sealed_token BLOB NOT NULL,
    key_id TEXT NOT NULL,
    -- The token by which the newest one came: it has worked, and is kept until the newest one has.
    former_sealed_token BLOB,
    former_key_id TEXT,
    -- A salt and a keyed hash of the token of the configuration that this one descends from: a file that holds another
    -- token is noticed. NULL when the token came by a call.
    configured_fingerprint BLOB,
    set_at INTEGER NOT NULL,
    -- When a token of this line was last used with success.
    succeeded_at INTEGER,
    -- Why the sign-in service or the token itself rules the user out, since when, and when that was last seen.
    refused_reason TEXT,
    refused_code TEXT,
    refused_detail TEXT,
    refused_since INTEGER,
    refused_at INTEGER,
    CONSTRAINT partner_account_former_token_names_its_key
        CHECK ((former_sealed_token IS NULL) = (former_key_id IS NULL)),
    CONSTRAINT partner_account_refusal_is_whole
        CHECK ((refused_reason IS NULL) = (refused_at IS NULL) AND (refused_reason IS NULL) = (refused_since IS NULL)
               AND (refused_reason IS NULL) = (refused_detail IS NULL))
) STRICT;

CREATE TRIGGER partner_account_refresh_token_counts BEFORE UPDATE ON partner_account_refresh_token
WHEN new.version <> old.version + 1
BEGIN
    SELECT RAISE(ABORT, 'guard: every change of a refresh token raises its version by one');
END;
