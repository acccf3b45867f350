-- What customers are, who may change them, and the record of every change.
--
-- Conventions: ids and enumerations are TEXT, times are whole microseconds since the epoch (UTC), an empty
-- text means absent. Triggers raise with ABORT only: anything else would roll back behind sqlx's back.

-- One row is one fact about this store itself.
CREATE TABLE store_meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;

-- One row is one Partner Center connection. Credentials are not kept here.
CREATE TABLE partner_account (
    id TEXT PRIMARY KEY NOT NULL,
    display_name TEXT NOT NULL,
    kind TEXT NOT NULL
        CONSTRAINT partner_account_kind_known CHECK (kind IN ('DIRECT_BILL', 'INDIRECT_PROVIDER', 'INDIRECT_RESELLER')),
    cloud TEXT NOT NULL
        CONSTRAINT partner_account_cloud_known CHECK (cloud IN ('GLOBAL', 'US_GOVERNMENT', 'CHINA')),
    tenant_id TEXT NOT NULL,
    -- Raised by every new holder of the account's synchronization; part of the order of observations.
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    -- The last question asked of Partner Center; taken before the question is sent.
    last_ticket INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT partner_account_tenant_is_used_once UNIQUE (tenant_id)
) STRICT;

-- One row is one customer. Its billing contact is all NULL while it mirrors the primary contact.
CREATE TABLE customer (
    account TEXT NOT NULL REFERENCES partner_account (id),
    id TEXT NOT NULL,
    source TEXT NOT NULL CONSTRAINT customer_source_known CHECK (source IN ('PLATFORM', 'MICROSOFT')),
    revision INTEGER NOT NULL CONSTRAINT customer_revision_starts_at_one CHECK (revision >= 1),
    company_name TEXT NOT NULL,
    domain TEXT NOT NULL,
    primary_first_name TEXT NOT NULL,
    primary_last_name TEXT NOT NULL,
    primary_email TEXT NOT NULL,
    primary_phone_number TEXT NOT NULL,
    primary_language TEXT NOT NULL,
    primary_culture TEXT NOT NULL,
    primary_country TEXT NOT NULL,
    primary_region TEXT NOT NULL,
    primary_state TEXT NOT NULL,
    primary_district TEXT NOT NULL,
    primary_city TEXT NOT NULL,
    primary_address_line1 TEXT NOT NULL,
    primary_address_line2 TEXT NOT NULL,
    primary_address_line3 TEXT NOT NULL,
    primary_postal_code TEXT NOT NULL,
    billing_first_name TEXT,
    billing_last_name TEXT,
    billing_email TEXT,
    billing_phone_number TEXT,
    billing_language TEXT,
    billing_culture TEXT,
    billing_country TEXT,
    billing_region TEXT,
    billing_state TEXT,
    billing_district TEXT,
    billing_city TEXT,
    billing_address_line1 TEXT,
    billing_address_line2 TEXT,
    billing_address_line3 TEXT,
    billing_postal_code TEXT,
    external_reference TEXT NOT NULL,
    -- A JSON object of texts.
    labels TEXT NOT NULL,
    note TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT customer_status_known CHECK (status IN ('ACTIVE', 'BLOCKED')),
    microsoft_tenant_id TEXT,
    tenant_name TEXT,
    relationship TEXT CONSTRAINT customer_relationship_known CHECK (relationship IN ('ACTIVE', 'ENDED')),
    upstream_relationship TEXT,
    sync_state TEXT
        CONSTRAINT customer_sync_state_known CHECK (sync_state IN ('SYNCED', 'QUARANTINED', 'HELD_FOR_REMOVAL', 'ENDED')),
    -- The observation the fields of Partner Center come from.
    observation_epoch INTEGER,
    observation_ticket INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
        CONSTRAINT customer_of_microsofts_is_ended_not_deleted CHECK (deleted_at IS NULL OR source = 'PLATFORM'),
    PRIMARY KEY (account, id),
    CONSTRAINT customer_microsoft_columns_belong_to_microsoft_customers CHECK (
        (source = 'MICROSOFT') = (microsoft_tenant_id IS NOT NULL)
        AND (source = 'MICROSOFT') = (tenant_name IS NOT NULL)
        AND (source = 'MICROSOFT') = (relationship IS NOT NULL)
        AND (source = 'MICROSOFT') = (upstream_relationship IS NOT NULL)
        AND (source = 'MICROSOFT') = (sync_state IS NOT NULL)
        AND (source = 'MICROSOFT') = (observation_epoch IS NOT NULL)
        AND (source = 'MICROSOFT') = (observation_ticket IS NOT NULL)
    ),
    -- R1: the third line of defence behind domain::reconcile and domain::review.
    CONSTRAINT billing_mirrors_primary_of_a_microsoft_customer CHECK (
        source <> 'MICROSOFT' OR relationship = 'ENDED' OR billing_first_name IS NULL
    ),
    CONSTRAINT billing_contact_is_whole_or_absent CHECK (
        (billing_first_name IS NULL) = (billing_last_name IS NULL)
        AND (billing_first_name IS NULL) = (billing_email IS NULL)
        AND (billing_first_name IS NULL) = (billing_phone_number IS NULL)
        AND (billing_first_name IS NULL) = (billing_language IS NULL)
        AND (billing_first_name IS NULL) = (billing_culture IS NULL)
        AND (billing_first_name IS NULL) = (billing_country IS NULL)
        AND (billing_first_name IS NULL) = (billing_region IS NULL)
        AND (billing_first_name IS NULL) = (billing_state IS NULL)
        AND (billing_first_name IS NULL) = (billing_district IS NULL)
        AND (billing_first_name IS NULL) = (billing_city IS NULL)
        AND (billing_first_name IS NULL) = (billing_address_line1 IS NULL)
        AND (billing_first_name IS NULL) = (billing_address_line2 IS NULL)
        AND (billing_first_name IS NULL) = (billing_address_line3 IS NULL)
        AND (billing_first_name IS NULL) = (billing_postal_code IS NULL)
    )
) STRICT;

-- Finds the record of an observed tenant; one tenant is one customer of an account.
CREATE UNIQUE INDEX customer_tenant_is_used_once ON customer (account, microsoft_tenant_id)
    WHERE microsoft_tenant_id IS NOT NULL;

-- R5: the database refuses what the code above it forgot, and anyone with a shell. An observation that is taken away
-- (NULL) is not a newer one.
CREATE TRIGGER customer_contacts_change_only_by_observation BEFORE UPDATE ON customer
WHEN old.source = 'MICROSOFT' AND old.relationship = 'ACTIVE'
    AND coalesce((new.observation_epoch, new.observation_ticket) <= (old.observation_epoch, old.observation_ticket), 1)
    AND (
        (new.primary_first_name, new.primary_last_name, new.primary_email, new.primary_phone_number,
         new.primary_language, new.primary_culture, new.primary_country, new.primary_region,
         new.primary_state, new.primary_district, new.primary_city, new.primary_address_line1,
         new.primary_address_line2, new.primary_address_line3, new.primary_postal_code,
         new.billing_first_name, new.billing_last_name, new.billing_email, new.billing_phone_number,
         new.billing_language, new.billing_culture, new.billing_country, new.billing_region,
         new.billing_state, new.billing_district, new.billing_city, new.billing_address_line1,
         new.billing_address_line2, new.billing_address_line3, new.billing_postal_code)
        IS NOT
        (old.primary_first_name, old.primary_last_name, old.primary_email, old.primary_phone_number,
         old.primary_language, old.primary_culture, old.primary_country, old.primary_region,
         old.primary_state, old.primary_district, old.primary_city, old.primary_address_line1,
         old.primary_address_line2, old.primary_address_line3, old.primary_postal_code,
         old.billing_first_name, old.billing_last_name, old.billing_email, old.billing_phone_number,
         old.billing_language, old.billing_culture, old.billing_country, old.billing_region,
         old.billing_state, old.billing_district, old.billing_city, old.billing_address_line1,
         old.billing_address_line2, old.billing_address_line3, old.billing_postal_code)
    )
BEGIN
    SELECT RAISE(ABORT, 'guard R3: primary and billing contact of a Microsoft customer are owned by Partner Center and change only with a newer observation');
END;

CREATE TRIGGER customer_identity_changes_only_by_observation BEFORE UPDATE ON customer
WHEN old.source = 'MICROSOFT'
    AND coalesce((new.observation_epoch, new.observation_ticket) <= (old.observation_epoch, old.observation_ticket), 1)
    AND (new.source, new.company_name, new.domain, new.tenant_name, new.microsoft_tenant_id, new.relationship,
         new.upstream_relationship)
        IS NOT
        (old.source, old.company_name, old.domain, old.tenant_name, old.microsoft_tenant_id, old.relationship,
         old.upstream_relationship)
BEGIN
    SELECT RAISE(ABORT, 'guard R3: source, names, domain, tenant and relationship of a Microsoft customer are owned by Partner Center and change only with a newer observation');
END;

CREATE TRIGGER customer_observation_moves_forward BEFORE UPDATE ON customer
WHEN (new.observation_epoch, new.observation_ticket) < (old.observation_epoch, old.observation_ticket)
BEGIN
    SELECT RAISE(ABORT, 'guard R8: an older observation never overwrites a newer one');
END;

CREATE TRIGGER customer_source_is_microsoft_only_by_observation BEFORE UPDATE ON customer
WHEN old.source = 'PLATFORM' AND new.source <> 'PLATFORM' AND new.observation_ticket IS NULL
BEGIN
    SELECT RAISE(ABORT, 'guard R6: a customer becomes a Microsoft customer only with an observation');
END;

CREATE TRIGGER customer_keeps_its_name BEFORE UPDATE ON customer
WHEN (new.rowid, new.account, new.id, new.created_at) IS NOT (old.rowid, old.account, old.id, old.created_at)
    OR (old.microsoft_tenant_id IS NOT NULL AND new.microsoft_tenant_id IS NOT old.microsoft_tenant_id)
BEGIN
    SELECT RAISE(ABORT, 'guard R6: the identity of a customer never changes');
END;

-- After the others, so that a change by hand is told the rule it breaks rather than that it forgot to count.
CREATE TRIGGER customer_revision_grows_by_one AFTER UPDATE ON customer
WHEN new.revision IS NOT old.revision + 1
BEGIN
    SELECT RAISE(ABORT, 'guard: every change of a customer raises its revision by exactly one');
END;

CREATE TRIGGER customer_is_ended_not_deleted BEFORE DELETE ON customer
BEGIN
    SELECT RAISE(ABORT, 'guard R9: customers are ended, not deleted');
END;

-- REPLACE deletes without asking the trigger above unless recursive triggers are on; an INSERT and an UPDATE are asked
-- themselves, about every key by which a row could be replaced.
CREATE TRIGGER customer_is_not_replaced BEFORE INSERT ON customer
WHEN EXISTS (SELECT 1 FROM customer WHERE account = new.account AND id = new.id)
    OR EXISTS (SELECT 1 FROM customer WHERE account = new.account AND microsoft_tenant_id = new.microsoft_tenant_id)
    OR EXISTS (SELECT 1 FROM customer WHERE rowid = new.rowid)
BEGIN
    SELECT RAISE(ABORT, 'guard R9: a customer is not replaced by another row');
END;

CREATE TRIGGER customer_tenant_is_not_taken_over BEFORE UPDATE OF microsoft_tenant_id ON customer
WHEN EXISTS (
    SELECT 1 FROM customer
    WHERE account = new.account AND microsoft_tenant_id = new.microsoft_tenant_id AND id <> new.id
)
BEGIN
    SELECT RAISE(ABORT, 'guard R9: a customer is not replaced by another row');
END;

-- One row is one change of one customer, in commit order. Holds which fields changed, never their values.
CREATE TABLE change_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL
        CONSTRAINT change_log_kind_known CHECK (
            kind IN ('CREATED', 'EDITED', 'SYNCED', 'STATE', 'ENDED', 'REVIVED', 'DELETED', 'UNDELETED')
        ),
    -- Comma-separated field paths.
    fields TEXT NOT NULL,
    -- The caller's subject, or 'partner-center'.
    actor TEXT NOT NULL,
    run_id TEXT,
    at INTEGER NOT NULL,
    CONSTRAINT change_log_has_one_row_per_revision UNIQUE (account, customer_id, revision)
) STRICT;

-- Counts what a run changed.
CREATE INDEX change_log_of_run ON change_log (run_id, kind) WHERE run_id IS NOT NULL;

CREATE TRIGGER change_log_is_not_updated BEFORE UPDATE ON change_log
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;
CREATE TRIGGER change_log_is_not_deleted BEFORE DELETE ON change_log
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;
CREATE TRIGGER change_log_is_not_replaced BEFORE INSERT ON change_log
WHEN EXISTS (SELECT 1 FROM change_log WHERE sequence = new.sequence)
    OR EXISTS (
        SELECT 1 FROM change_log
        WHERE account = new.account AND customer_id = new.customer_id AND revision = new.revision
    )
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;

-- Finds customers by domain and by external reference.
CREATE INDEX customer_by_domain ON customer (account, domain) WHERE domain <> '';
CREATE INDEX customer_by_external_reference ON customer (account, external_reference) WHERE external_reference <> '';

-- One row is one guarded edit that was refused. Holds field paths, never values. The decisions of an account are a
-- chain: each hash covers its decision and the hash before it.
CREATE TABLE decision (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL,
    position INTEGER NOT NULL,
    customer_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    -- Comma-separated `path:RULE`.
    violations TEXT NOT NULL,
    -- Comma-separated paths that would have passed.
    acceptable TEXT NOT NULL,
    policy_revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    chain_hash TEXT NOT NULL,
    CONSTRAINT decision_has_one_position_in_its_chain UNIQUE (account, position)
) STRICT;

-- Lists the decisions about a customer, and those of a caller.
CREATE INDEX decision_of_customer ON decision (account, customer_id, position);
CREATE INDEX decision_of_caller ON decision (account, caller, position);

CREATE TRIGGER decision_is_not_updated BEFORE UPDATE ON decision
BEGIN SELECT RAISE(ABORT, 'guard: decisions are append-only'); END;
CREATE TRIGGER decision_is_not_deleted BEFORE DELETE ON decision
BEGIN SELECT RAISE(ABORT, 'guard: decisions are append-only'); END;
CREATE TRIGGER decision_is_not_replaced BEFORE INSERT ON decision
WHEN EXISTS (
    SELECT 1 FROM decision
    WHERE id = new.id OR rowid = new.rowid OR (account = new.account AND position = new.position)
)
BEGIN SELECT RAISE(ABORT, 'guard: decisions are append-only'); END;

-- One row is one request whose repetition must have no further effect, and its answer.
CREATE TABLE request_memory (
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- Tells another request under the same id from the same one.
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (caller, request_id)
) STRICT, WITHOUT ROWID;

-- Forgets requests after a day.
CREATE INDEX request_memory_by_age ON request_memory (at);
