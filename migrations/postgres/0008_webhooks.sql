-- Webhooks: the secret of an account's path, what its single registration looks like, and which events were met.

-- One row is one account's callback address: the secret in its path, made at first need and shown to no caller.
CREATE TABLE webhook_path (
    account TEXT COLLATE "C" PRIMARY KEY NOT NULL REFERENCES partner_account (id),
    secret BYTEA NOT NULL CONSTRAINT webhook_path_secret_has_256_bits CHECK (length(secret) = 32),
    -- The address that was registered last, so that it is known as ours after the public address has changed.
    registered_url TEXT COLLATE "C",
    made_at BIGINT NOT NULL
);

-- Since when the registration is as `webhook_state` says, which now may also be LOST: it was ours.
ALTER TABLE account_sync ADD COLUMN webhook_since BIGINT;
-- Whose host holds the registration, when it is somebody else's. The rest of that address may be a secret.
ALTER TABLE account_sync ADD COLUMN webhook_host TEXT COLLATE "C";
-- When a genuine event came last; NULL until the registration as it is has been heard from.
ALTER TABLE account_sync ADD COLUMN webhook_heard_at BIGINT;
-- When Partner Center was last asked to send a test event.
ALTER TABLE account_sync ADD COLUMN webhook_test_asked_at BIGINT;
-- An event could not be taken, or named too many new customers: the customer list is to be read after this time.
ALTER TABLE account_sync ADD COLUMN list_wanted_at BIGINT;

-- One row is one genuine event that was taken: SHA-256 over the account and the bytes, so that a repetition has no
-- effect.
CREATE TABLE webhook_seen (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    digest BYTEA NOT NULL,
    -- Whether it named a customer that was not known.
    discovery BOOLEAN NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (account, digest)
);

-- Forgets events after a week, and counts the discoveries of the last minute.
CREATE INDEX webhook_seen_by_age ON webhook_seen (account, seen_at);
