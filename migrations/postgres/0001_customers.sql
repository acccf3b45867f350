-- What customers are, who may change them, and the record of every change.
--
-- Conventions: ids and enumerations are TEXT, times are whole microseconds since the epoch (UTC), an empty
-- text means absent. Texts have the collation "C": they are ordered by code points, as on SQLite.

-- Words of SQLite that the statements of the store use. They are inlined, and cost what they stand for.
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (key BIGINT, value TEXT) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT place - 1, element #>> '{}' FROM json_array_elements($1::json) WITH ORDINALITY AS listed (element, place)
$$;
CREATE FUNCTION json_member(object TEXT, name TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT $1::json ->> $2 $$;
CREATE OPERATOR ->> (LEFTARG = TEXT, RIGHTARG = TEXT, FUNCTION = json_member);
CREATE FUNCTION json_element(list TEXT, place INTEGER) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT $1::json ->> $2 $$;
CREATE OPERATOR ->> (LEFTARG = TEXT, RIGHTARG = INTEGER, FUNCTION = json_element);
CREATE FUNCTION json_quote(said TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(to_json($1)::text, 'null') $$;
CREATE FUNCTION instr(said TEXT, sought TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT strpos($1, $2) $$;
CREATE FUNCTION substr(said TEXT, first BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT substr($1, $2::integer) $$;
CREATE FUNCTION substr(said TEXT, first BIGINT, length BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT substr($1, $2::integer, $3::integer) $$;
CREATE FUNCTION max(one BIGINT, other BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN $1 >= $2 THEN $1 ELSE $2 END $$;
CREATE FUNCTION min(one BIGINT, other BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN $1 <= $2 THEN $1 ELSE $2 END $$;

-- One row is one fact about this store itself.
CREATE TABLE store_meta (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    value TEXT COLLATE "C" NOT NULL
);

-- One row is one Partner Center connection. Credentials are not kept here.
CREATE TABLE partner_account (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL
        CONSTRAINT partner_account_kind_known CHECK (kind IN ('DIRECT_BILL', 'INDIRECT_PROVIDER', 'INDIRECT_RESELLER')),
    cloud TEXT COLLATE "C" NOT NULL
        CONSTRAINT partner_account_cloud_known CHECK (cloud IN ('GLOBAL', 'US_GOVERNMENT', 'CHINA')),
    tenant_id TEXT COLLATE "C" NOT NULL,
    -- Raised by every new holder of the account's synchronization; part of the order of observations.
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    -- The last question asked of Partner Center; taken before the question is sent.
    last_ticket BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT partner_account_tenant_is_used_once UNIQUE (tenant_id)
);

-- One row is one customer. Its billing contact is all NULL while it mirrors the primary contact.
CREATE TABLE customer (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    id TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL CONSTRAINT customer_source_known CHECK (source IN ('PLATFORM', 'MICROSOFT')),
    revision BIGINT NOT NULL CONSTRAINT customer_revision_starts_at_one CHECK (revision >= 1),
    company_name TEXT COLLATE "C" NOT NULL,
    domain TEXT COLLATE "C" NOT NULL,
    primary_first_name TEXT COLLATE "C" NOT NULL,
    primary_last_name TEXT COLLATE "C" NOT NULL,
    primary_email TEXT COLLATE "C" NOT NULL,
    primary_phone_number TEXT COLLATE "C" NOT NULL,
    primary_language TEXT COLLATE "C" NOT NULL,
    primary_culture TEXT COLLATE "C" NOT NULL,
    primary_country TEXT COLLATE "C" NOT NULL,
    primary_region TEXT COLLATE "C" NOT NULL,
    primary_state TEXT COLLATE "C" NOT NULL,
    primary_district TEXT COLLATE "C" NOT NULL,
    primary_city TEXT COLLATE "C" NOT NULL,
    primary_address_line1 TEXT COLLATE "C" NOT NULL,
    primary_address_line2 TEXT COLLATE "C" NOT NULL,
    primary_address_line3 TEXT COLLATE "C" NOT NULL,
    primary_postal_code TEXT COLLATE "C" NOT NULL,
    billing_first_name TEXT COLLATE "C",
    billing_last_name TEXT COLLATE "C",
    billing_email TEXT COLLATE "C",
    billing_phone_number TEXT COLLATE "C",
    billing_language TEXT COLLATE "C",
    billing_culture TEXT COLLATE "C",
    billing_country TEXT COLLATE "C",
    billing_region TEXT COLLATE "C",
    billing_state TEXT COLLATE "C",
    billing_district TEXT COLLATE "C",
    billing_city TEXT COLLATE "C",
    billing_address_line1 TEXT COLLATE "C",
    billing_address_line2 TEXT COLLATE "C",
    billing_address_line3 TEXT COLLATE "C",
    billing_postal_code TEXT COLLATE "C",
    external_reference TEXT COLLATE "C" NOT NULL,
    -- A JSON object of texts.
    labels TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CONSTRAINT customer_status_known CHECK (status IN ('ACTIVE', 'BLOCKED')),
    microsoft_tenant_id TEXT COLLATE "C",
    tenant_name TEXT COLLATE "C",
    relationship TEXT COLLATE "C" CONSTRAINT customer_relationship_known CHECK (relationship IN ('ACTIVE', 'ENDED')),
    upstream_relationship TEXT COLLATE "C",
    sync_state TEXT COLLATE "C"
        CONSTRAINT customer_sync_state_known CHECK (sync_state IN ('SYNCED', 'QUARANTINED', 'HELD_FOR_REMOVAL', 'ENDED')),
    -- The observation the fields of Partner Center come from.
    observation_epoch BIGINT,
    observation_ticket BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
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
);

-- Finds the record of an observed tenant; one tenant is one customer of an account.
CREATE UNIQUE INDEX customer_tenant_is_used_once ON customer (account, microsoft_tenant_id)
    WHERE microsoft_tenant_id IS NOT NULL;

-- R5: the database refuses what the code above it forgot, and anyone with a shell. An observation that is taken away
-- (NULL) is not a newer one.
CREATE FUNCTION customer_contacts_change_only_by_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT' AND old.relationship = 'ACTIVE'
        AND coalesce((new.observation_epoch, new.observation_ticket) <= (old.observation_epoch, old.observation_ticket), TRUE)
        AND (
            (new.primary_first_name, new.primary_last_name, new.primary_email, new.primary_phone_number,
             new.primary_language, new.primary_culture, new.primary_country, new.primary_region,
             new.primary_state, new.primary_district, new.primary_city, new.primary_address_line1,
             new.primary_address_line2, new.primary_address_line3, new.primary_postal_code,
             new.billing_first_name, new.billing_last_name, new.billing_email, new.billing_phone_number,
             new.billing_language, new.billing_culture, new.billing_country, new.billing_region,
             new.billing_state, new.billing_district, new.billing_city, new.billing_address_line1,
             new.billing_address_line2, new.billing_address_line3, new.billing_postal_code)
            IS DISTINCT FROM
            (old.primary_first_name, old.primary_last_name, old.primary_email, old.primary_phone_number,
             old.primary_language, old.primary_culture, old.primary_country, old.primary_region,
             old.primary_state, old.primary_district, old.primary_city, old.primary_address_line1,
             old.primary_address_line2, old.primary_address_line3, old.primary_postal_code,
             old.billing_first_name, old.billing_last_name, old.billing_email, old.billing_phone_number,
             old.billing_language, old.billing_culture, old.billing_country, old.billing_region,
             old.billing_state, old.billing_district, old.billing_city, old.billing_address_line1,
             old.billing_address_line2, old.billing_address_line3, old.billing_postal_code)
        )
    THEN
        RAISE EXCEPTION 'guard R3: primary and billing contact of a Microsoft customer are owned by Partner Center and change only with a newer observation';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_contacts_change_only_by_observation BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_contacts_change_only_by_observation();

CREATE FUNCTION customer_identity_changes_only_by_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT'
        AND coalesce((new.observation_epoch, new.observation_ticket) <= (old.observation_epoch, old.observation_ticket), TRUE)
        AND (new.source, new.company_name, new.domain, new.tenant_name, new.microsoft_tenant_id, new.relationship,
             new.upstream_relationship)
            IS DISTINCT FROM
            (old.source, old.company_name, old.domain, old.tenant_name, old.microsoft_tenant_id, old.relationship,
             old.upstream_relationship)
    THEN
        RAISE EXCEPTION 'guard R3: source, names, domain, tenant and relationship of a Microsoft customer are owned by Partner Center and change only with a newer observation';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_identity_changes_only_by_observation BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_identity_changes_only_by_observation();

CREATE FUNCTION customer_observation_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.observation_epoch, new.observation_ticket) < (old.observation_epoch, old.observation_ticket)
    THEN
        RAISE EXCEPTION 'guard R8: an older observation never overwrites a newer one';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_observation_moves_forward BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_observation_moves_forward();

CREATE FUNCTION customer_source_is_microsoft_only_by_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'PLATFORM' AND new.source <> 'PLATFORM' AND new.observation_ticket IS NULL
    THEN
        RAISE EXCEPTION 'guard R6: a customer becomes a Microsoft customer only with an observation';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_source_is_microsoft_only_by_observation BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_source_is_microsoft_only_by_observation();

CREATE FUNCTION customer_keeps_its_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.account, new.id, new.created_at) IS DISTINCT FROM (old.account, old.id, old.created_at)
        OR (old.microsoft_tenant_id IS NOT NULL AND new.microsoft_tenant_id IS DISTINCT FROM old.microsoft_tenant_id)
    THEN
        RAISE EXCEPTION 'guard R6: the identity of a customer never changes';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_keeps_its_name BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_keeps_its_name();

-- After the others, so that a change by hand is told the rule it breaks rather than that it forgot to count.
CREATE FUNCTION customer_revision_grows_by_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.revision IS DISTINCT FROM old.revision + 1
    THEN
        RAISE EXCEPTION 'guard: every change of a customer raises its revision by exactly one';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_revision_grows_by_one AFTER UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_revision_grows_by_one();

CREATE FUNCTION customer_is_ended_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard R9: customers are ended, not deleted';
END
$$;
CREATE TRIGGER customer_is_ended_not_deleted BEFORE DELETE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_is_ended_not_deleted();

-- REPLACE deletes without asking the trigger above unless recursive triggers are on; an INSERT and an UPDATE are asked
-- themselves, about every key by which a row could be replaced.
CREATE FUNCTION customer_is_not_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM customer WHERE account = new.account AND id = new.id)
        OR EXISTS (SELECT 1 FROM customer WHERE account = new.account AND microsoft_tenant_id = new.microsoft_tenant_id)
    THEN
        RAISE EXCEPTION 'guard R9: a customer is not replaced by another row';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_is_not_replaced BEFORE INSERT ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_is_not_replaced();

CREATE FUNCTION customer_tenant_is_not_taken_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM customer
        WHERE account = new.account AND microsoft_tenant_id = new.microsoft_tenant_id AND id <> new.id
    )
    THEN
        RAISE EXCEPTION 'guard R9: a customer is not replaced by another row';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_tenant_is_not_taken_over BEFORE UPDATE OF microsoft_tenant_id ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_tenant_is_not_taken_over();

-- One row is one change of one customer, in commit order. Holds which fields changed, never their values.
CREATE TABLE change_log (
    sequence BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL
        CONSTRAINT change_log_kind_known CHECK (
            kind IN ('CREATED', 'EDITED', 'SYNCED', 'STATE', 'ENDED', 'REVIVED', 'DELETED', 'UNDELETED')
        ),
    -- Comma-separated field paths.
    fields TEXT COLLATE "C" NOT NULL,
    -- The caller's subject, or 'partner-center'.
    actor TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C",
    at BIGINT NOT NULL,
    CONSTRAINT change_log_has_one_row_per_revision UNIQUE (account, customer_id, revision)
);

-- Counts what a run changed.
CREATE INDEX change_log_of_run ON change_log (run_id, kind) WHERE run_id IS NOT NULL;

CREATE FUNCTION change_log_is_not_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: the change log is append-only';
END
$$;
CREATE TRIGGER change_log_is_not_updated BEFORE UPDATE ON change_log
    FOR EACH ROW EXECUTE FUNCTION change_log_is_not_updated();
CREATE FUNCTION change_log_is_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: the change log is append-only';
END
$$;
CREATE TRIGGER change_log_is_not_deleted BEFORE DELETE ON change_log
    FOR EACH ROW EXECUTE FUNCTION change_log_is_not_deleted();
CREATE FUNCTION change_log_is_not_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM change_log WHERE sequence = new.sequence)
        OR EXISTS (
            SELECT 1 FROM change_log
            WHERE account = new.account AND customer_id = new.customer_id AND revision = new.revision
        )
    THEN
        RAISE EXCEPTION 'guard: the change log is append-only';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER change_log_is_not_replaced BEFORE INSERT ON change_log
    FOR EACH ROW EXECUTE FUNCTION change_log_is_not_replaced();

-- Finds customers by domain and by external reference.
CREATE INDEX customer_by_domain ON customer (account, domain) WHERE domain <> '';
CREATE INDEX customer_by_external_reference ON customer (account, external_reference) WHERE external_reference <> '';

-- One row is one guarded edit that was refused. Holds field paths, never values. The decisions of an account are a
-- chain: each hash covers its decision and the hash before it.
CREATE TABLE decision (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    -- Comma-separated `path:RULE`.
    violations TEXT COLLATE "C" NOT NULL,
    -- Comma-separated paths that would have passed.
    acceptable TEXT COLLATE "C" NOT NULL,
    policy_revision BIGINT NOT NULL,
    at BIGINT NOT NULL,
    chain_hash TEXT COLLATE "C" NOT NULL,
    CONSTRAINT decision_has_one_position_in_its_chain UNIQUE (account, position)
);

-- Lists the decisions about a customer, and those of a caller.
CREATE INDEX decision_of_customer ON decision (account, customer_id, position);
CREATE INDEX decision_of_caller ON decision (account, caller, position);

CREATE FUNCTION decision_is_not_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: decisions are append-only';
END
$$;
CREATE TRIGGER decision_is_not_updated BEFORE UPDATE ON decision
    FOR EACH ROW EXECUTE FUNCTION decision_is_not_updated();
CREATE FUNCTION decision_is_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: decisions are append-only';
END
$$;
CREATE TRIGGER decision_is_not_deleted BEFORE DELETE ON decision
    FOR EACH ROW EXECUTE FUNCTION decision_is_not_deleted();
CREATE FUNCTION decision_is_not_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM decision
        WHERE id = new.id OR (account = new.account AND position = new.position)
    )
    THEN
        RAISE EXCEPTION 'guard: decisions are append-only';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER decision_is_not_replaced BEFORE INSERT ON decision
    FOR EACH ROW EXECUTE FUNCTION decision_is_not_replaced();

-- One row is one request whose repetition must have no further effect, and its answer.
CREATE TABLE request_memory (
    caller TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    -- Tells another request under the same id from the same one.
    fingerprint BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (caller, request_id)
);

-- Forgets requests after a day.
CREATE INDEX request_memory_by_age ON request_memory (at);

-- TRUNCATE asks no trigger of a row.
CREATE FUNCTION nothing_is_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: the rows of % are not deleted', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER customer_is_not_truncated BEFORE TRUNCATE ON customer
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
CREATE TRIGGER change_log_is_not_truncated BEFORE TRUNCATE ON change_log
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
CREATE TRIGGER decision_is_not_truncated BEFORE TRUNCATE ON decision
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
