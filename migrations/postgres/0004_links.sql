-- Links between platform customers and customers in Partner Center: who looks alike, what waits for a decision, and what
-- a link can be undone to.

-- One row is the name of one customer as names are compared. NULL when the customer has no name or no country to compare.
CREATE TABLE customer_match (
    account TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    match_key TEXT COLLATE "C",
    PRIMARY KEY (account, customer_id),
    FOREIGN KEY (account, customer_id) REFERENCES customer (account, id)
);

-- Finds the customers of the same name.
CREATE INDEX customer_match_by_key ON customer_match (account, match_key) WHERE match_key IS NOT NULL;

-- One row is one customer in Partner Center that has no record because it looks like platform customers.
CREATE TABLE pending_link (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    -- What Partner Center calls it, and what it is compared by.
    company_name TEXT COLLATE "C" NOT NULL,
    domain TEXT COLLATE "C" NOT NULL,
    match_key TEXT COLLATE "C",
    noted_at BIGINT NOT NULL,
    PRIMARY KEY (account, tenant_id)
);

-- Lists what waits in an account, oldest first.
CREATE INDEX pending_link_by_age ON pending_link (account, noted_at, tenant_id);

-- Finds the pending links that a platform customer looks like once it is made or changed.
CREATE INDEX pending_link_by_domain ON pending_link (account, domain) WHERE domain <> '';
CREATE INDEX pending_link_by_key ON pending_link (account, match_key) WHERE match_key IS NOT NULL;

-- One row is one platform customer that a pending link may be about.
CREATE TABLE pending_link_candidate (
    account TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL
        CONSTRAINT pending_link_candidate_reason_known CHECK (reason IN ('SAME_DOMAIN', 'SAME_NAME_AND_COUNTRY')),
    PRIMARY KEY (account, tenant_id, customer_id),
    FOREIGN KEY (account, tenant_id) REFERENCES pending_link (account, tenant_id) ON DELETE CASCADE
);

-- Finds the pending links that name a customer.
CREATE INDEX pending_link_candidate_by_customer ON pending_link_candidate (account, customer_id);

-- One row is the decision that a customer in Partner Center and a platform customer are two.
CREATE TABLE dismissed_link (
    account TEXT COLLATE "C" NOT NULL REFERENCES partner_account (id),
    tenant_id TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    dismissed_by TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account, tenant_id, customer_id)
);

-- One row is one time that a platform customer became the record of a customer in Partner Center.
CREATE TABLE customer_link (
    account TEXT COLLATE "C" NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    -- The revision the customer got by it.
    linked_revision BIGINT NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    linked_by TEXT COLLATE "C" NOT NULL,
    linked_at BIGINT NOT NULL,
    -- Until then the link can be undone, and the former values are kept.
    keep_until BIGINT NOT NULL,
    -- The values the customer had for what Partner Center owns since, as `customer_own_values` tells them. NULL once they
    -- are erased: they are personal data.
    former TEXT COLLATE "C",
    -- The revision the customer got when the link was undone.
    unlinked_revision BIGINT,
    unlinked_by TEXT COLLATE "C",
    unlinked_at BIGINT,
    PRIMARY KEY (account, customer_id, linked_revision),
    FOREIGN KEY (account, customer_id) REFERENCES customer (account, id),
    CONSTRAINT customer_link_is_undone_whole_or_not CHECK (
        (unlinked_revision IS NULL) = (unlinked_by IS NULL) AND (unlinked_revision IS NULL) = (unlinked_at IS NULL)
    )
);

-- Finds the link of a customer that has not been undone; there is at most one.
CREATE UNIQUE INDEX customer_link_stands_alone ON customer_link (account, customer_id) WHERE unlinked_revision IS NULL;

-- Finds the former values whose time is over.
CREATE INDEX customer_link_kept ON customer_link (keep_until) WHERE former IS NOT NULL;

-- What a link replaces of a customer, as one text: the database compares it, so that it is told in one place.
CREATE VIEW customer_own_values AS
SELECT account, id, source, revision, deleted_at,
       jsonb_build_object(
           'company_name', company_name, 'domain', domain,
           'primary_first_name', primary_first_name, 'primary_last_name', primary_last_name,
           'primary_email', primary_email, 'primary_phone_number', primary_phone_number,
           'primary_language', primary_language, 'primary_culture', primary_culture,
           'primary_country', primary_country, 'primary_region', primary_region,
           'primary_state', primary_state, 'primary_district', primary_district,
           'primary_city', primary_city, 'primary_address_line1', primary_address_line1,
           'primary_address_line2', primary_address_line2, 'primary_address_line3', primary_address_line3,
           'primary_postal_code', primary_postal_code, 'billing_first_name', billing_first_name,
           'billing_last_name', billing_last_name, 'billing_email', billing_email,
           'billing_phone_number', billing_phone_number, 'billing_language', billing_language,
           'billing_culture', billing_culture, 'billing_country', billing_country,
           'billing_region', billing_region, 'billing_state', billing_state,
           'billing_district', billing_district, 'billing_city', billing_city,
           'billing_address_line1', billing_address_line1, 'billing_address_line2', billing_address_line2,
           'billing_address_line3', billing_address_line3, 'billing_postal_code', billing_postal_code
       )::text COLLATE "C" AS own_values
FROM customer;

-- R6: a link is noted before it is made, while the customer is still the platform's and with the values it has then. A
-- customer that came from Partner Center can therefore never get one, and nobody can choose what it is undone to.
CREATE FUNCTION customer_link_begins_with_a_platform_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.former IS NULL OR new.unlinked_revision IS NOT NULL
        OR NOT EXISTS (
            SELECT 1 FROM customer_own_values v
            WHERE v.account = new.account AND v.id = new.customer_id AND v.source = 'PLATFORM' AND v.deleted_at IS NULL
                AND v.revision + 1 = new.linked_revision AND v.own_values = new.former
        )
    THEN
        RAISE EXCEPTION 'guard R6: a link begins with a platform customer and the values it has';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_link_begins_with_a_platform_customer BEFORE INSERT ON customer_link
    FOR EACH ROW EXECUTE FUNCTION customer_link_begins_with_a_platform_customer();

CREATE FUNCTION customer_link_is_not_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM customer_link
        WHERE account = new.account AND customer_id = new.customer_id
            AND (linked_revision = new.linked_revision OR unlinked_revision IS NULL)
    )
    THEN
        RAISE EXCEPTION 'guard R6: a customer is linked once at a time, and a link is not replaced';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_link_is_not_replaced BEFORE INSERT ON customer_link
    FOR EACH ROW EXECUTE FUNCTION customer_link_is_not_replaced();

-- What may happen to a link: it is undone once, in its time, and its former values are erased.
CREATE FUNCTION customer_link_is_only_undone_or_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.account, new.customer_id, new.linked_revision, new.tenant_id, new.linked_by, new.linked_at, new.keep_until)
            IS DISTINCT FROM
            (old.account, old.customer_id, old.linked_revision, old.tenant_id, old.linked_by, old.linked_at, old.keep_until)
        OR (new.former IS NOT NULL AND new.former IS DISTINCT FROM old.former)
        OR (
            (new.unlinked_revision, new.unlinked_by, new.unlinked_at)
                IS DISTINCT FROM (old.unlinked_revision, old.unlinked_by, old.unlinked_at)
            AND (
                old.unlinked_revision IS NOT NULL OR new.former IS NULL OR new.unlinked_at >= old.keep_until
                OR NOT EXISTS (
                    SELECT 1 FROM customer c
                    WHERE c.account = old.account AND c.id = old.customer_id AND c.microsoft_tenant_id = old.tenant_id
                        AND c.revision + 1 = new.unlinked_revision
                )
            )
        )
    THEN
        RAISE EXCEPTION 'guard R6: a link is undone once and in its time, and nothing else of it changes';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_link_is_only_undone_or_forgotten BEFORE UPDATE ON customer_link
    FOR EACH ROW EXECUTE FUNCTION customer_link_is_only_undone_or_forgotten();

CREATE FUNCTION customer_link_is_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard R6: links are undone, not deleted';
END
$$;
CREATE TRIGGER customer_link_is_not_deleted BEFORE DELETE ON customer_link
    FOR EACH ROW EXECUTE FUNCTION customer_link_is_not_deleted();

CREATE FUNCTION customer_becomes_microsofts_only_by_a_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'PLATFORM' AND new.source = 'MICROSOFT'
        AND NOT EXISTS (
            SELECT 1 FROM customer_link l
            WHERE l.account = old.account AND l.customer_id = old.id AND l.tenant_id = new.microsoft_tenant_id
                AND l.linked_revision = new.revision AND l.unlinked_revision IS NULL
        )
    THEN
        RAISE EXCEPTION 'guard R6: a platform customer becomes a Microsoft customer only by a link';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_becomes_microsofts_only_by_a_link BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_becomes_microsofts_only_by_a_link();

-- R6: undoing a link gives back what the customer had, and nothing that Partner Center said meanwhile.
CREATE FUNCTION customer_unlinks_to_what_it_was() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT' AND new.source = 'PLATFORM'
        AND NOT EXISTS (
            SELECT 1 FROM customer_link l
            JOIN customer_own_values v ON v.account = l.account AND v.id = l.customer_id
            WHERE l.account = new.account AND l.customer_id = new.id AND l.tenant_id = old.microsoft_tenant_id
                AND l.unlinked_revision = new.revision AND l.former = v.own_values
        )
    THEN
        RAISE EXCEPTION 'guard R6: a customer is unlinked to the values it had before the link';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_unlinks_to_what_it_was AFTER UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_unlinks_to_what_it_was();

-- The three triggers of the first migration that forbid a Microsoft customer to become a platform customer, as they were,
-- but for a link that is undone at that very revision.
DROP TRIGGER customer_contacts_change_only_by_observation ON customer;
DROP FUNCTION customer_contacts_change_only_by_observation();
CREATE FUNCTION customer_contacts_change_only_by_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT' AND old.relationship = 'ACTIVE'
        AND NOT (new.source = 'PLATFORM' AND EXISTS (
            SELECT 1 FROM customer_link l
            WHERE l.account = old.account AND l.customer_id = old.id AND l.tenant_id = old.microsoft_tenant_id
                AND l.unlinked_revision = new.revision
        ))
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

DROP TRIGGER customer_identity_changes_only_by_observation ON customer;
DROP FUNCTION customer_identity_changes_only_by_observation();
CREATE FUNCTION customer_identity_changes_only_by_observation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT'
        AND NOT (new.source = 'PLATFORM' AND EXISTS (
            SELECT 1 FROM customer_link l
            WHERE l.account = old.account AND l.customer_id = old.id AND l.tenant_id = old.microsoft_tenant_id
                AND l.unlinked_revision = new.revision
        ))
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

DROP TRIGGER customer_keeps_its_name ON customer;
DROP FUNCTION customer_keeps_its_name();
CREATE FUNCTION customer_keeps_its_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (new.account, new.id, new.created_at) IS DISTINCT FROM (old.account, old.id, old.created_at)
        OR (old.microsoft_tenant_id IS NOT NULL AND new.microsoft_tenant_id IS DISTINCT FROM old.microsoft_tenant_id
            AND NOT (new.source = 'PLATFORM' AND EXISTS (
                SELECT 1 FROM customer_link l
                WHERE l.account = old.account AND l.customer_id = old.id AND l.tenant_id = old.microsoft_tenant_id
                    AND l.unlinked_revision = new.revision
            )))
    THEN
        RAISE EXCEPTION 'guard R6: the identity of a customer never changes';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER customer_keeps_its_name BEFORE UPDATE ON customer
    FOR EACH ROW EXECUTE FUNCTION customer_keeps_its_name();

-- TRUNCATE asks no trigger of a row.
CREATE TRIGGER customer_link_is_not_truncated BEFORE TRUNCATE ON customer_link
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
