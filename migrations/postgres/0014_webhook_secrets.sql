-- Webhook path secrets, known by their hash only, and replaced with an overlap.

-- No release kept a secret in this database before.
DROP TABLE webhook_path;

-- One row is one secret of an account's callback: SHA-256 over the last part of its path. The secret itself is with
-- Partner Center alone.
CREATE TABLE webhook_secret (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    hash BYTEA NOT NULL CONSTRAINT webhook_secret_hash_has_256_bits CHECK (length(hash) = 32),
    -- PENDING: is being registered, or may have been before a crash. PRESENT: the one that was registered last. FORMER:
    -- another one took its place, and it is honoured for a while.
    stage TEXT COLLATE "C" NOT NULL CONSTRAINT webhook_secret_stage_is_known CHECK (stage IN ('PENDING', 'PRESENT', 'FORMER')),
    made_at BIGINT NOT NULL,
    -- When an event came first under it.
    heard_at BIGINT,
    -- When the registration was first seen with the one that took its place.
    replaced_at BIGINT,
    -- When an event came first under the one that took its place.
    confirmed_at BIGINT,
    -- Of a pending one: the host of somebody else's registration, which it is to take the place of.
    replaces_host TEXT COLLATE "C",
    PRIMARY KEY (account, hash),
    CONSTRAINT webhook_secret_only_a_former_one_was_replaced CHECK ((stage = 'FORMER') = (replaced_at IS NOT NULL)),
    CONSTRAINT webhook_secret_only_a_former_one_is_confirmed CHECK (confirmed_at IS NULL OR stage = 'FORMER'),
    CONSTRAINT webhook_secret_only_a_pending_one_replaces CHECK (replaces_host IS NULL OR stage = 'PENDING')
);

-- When the present secret of an account was made; no account has two.
CREATE UNIQUE INDEX webhook_secret_present ON webhook_secret (account) WHERE stage = 'PRESENT';

-- When somebody asked for another secret; NULL when nobody waits for one.
ALTER TABLE account_sync ADD COLUMN webhook_rotation_wanted_at BIGINT;
-- Whose host held the registration that ours took the place of because the configuration names it; when that was last,
-- and how often.
ALTER TABLE account_sync ADD COLUMN webhook_replaced_host TEXT COLLATE "C";
ALTER TABLE account_sync ADD COLUMN webhook_replaced_at BIGINT;
ALTER TABLE account_sync ADD COLUMN webhook_replacements BIGINT NOT NULL DEFAULT 0;
