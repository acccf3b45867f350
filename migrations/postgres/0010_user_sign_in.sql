-- The user half of an account's credentials, and what kind its application's half is.

-- By what the application signs in; NULL while there is nothing. A certificate has an end.
ALTER TABLE partner_account ADD COLUMN credential_kind TEXT COLLATE "C"
    CONSTRAINT partner_account_credential_kind_known CHECK (credential_kind IN ('CLIENT_SECRET', 'CLIENT_CERTIFICATE'));
ALTER TABLE partner_account ADD COLUMN certificate_expires_at BIGINT
    CONSTRAINT partner_account_certificate_has_an_end
    CHECK ((certificate_expires_at IS NOT NULL) = (credential_kind IS NOT DISTINCT FROM 'CLIENT_CERTIFICATE'));

-- So far there were secrets only.
UPDATE partner_account SET credential_kind = 'CLIENT_SECRET'
WHERE origin = 'CONFIGURATION' OR id IN (SELECT account FROM partner_account_credentials);

-- One row is the refresh token with which an account's application acts for a user, sealed under a key that is not in the
-- database. Every use brings a newer one, so the row changes while the service runs, whatever the account comes from.
CREATE TABLE partner_account_refresh_token (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    -- Grows with every change, from the microsecond of its first; whoever replaces the token says which version was read.
    version BIGINT NOT NULL,
    -- AES-256-GCM, bound to the account and its client id.
    sealed_token BYTEA NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    -- The token by which the newest one came: it has worked, and is kept until the newest one has.
    former_sealed_token BYTEA,
    former_key_id TEXT COLLATE "C",
    -- A salt and a keyed hash of the token of the configuration that this one descends from: a file that holds another
    -- token is noticed. NULL when the token came by a call.
    configured_fingerprint BYTEA,
    set_at BIGINT NOT NULL,
    -- When a token of this line was last used with success.
    succeeded_at BIGINT,
    -- Why the sign-in service or the token itself rules the user out, since when, and when that was last seen.
    refused_reason TEXT COLLATE "C",
    refused_code TEXT COLLATE "C",
    refused_detail TEXT COLLATE "C",
    refused_since BIGINT,
    refused_at BIGINT,
    CONSTRAINT partner_account_former_token_names_its_key
        CHECK ((former_sealed_token IS NULL) = (former_key_id IS NULL)),
    CONSTRAINT partner_account_refusal_is_whole
        CHECK ((refused_reason IS NULL) = (refused_at IS NULL) AND (refused_reason IS NULL) = (refused_since IS NULL)
               AND (refused_reason IS NULL) = (refused_detail IS NULL))
);

CREATE FUNCTION partner_account_refresh_token_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.version <> old.version + 1
    THEN
        RAISE EXCEPTION 'guard: every change of a refresh token raises its version by one';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER partner_account_refresh_token_counts BEFORE UPDATE ON partner_account_refresh_token
    FOR EACH ROW EXECUTE FUNCTION partner_account_refresh_token_counts();
