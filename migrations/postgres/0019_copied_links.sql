-- A store that was copied from a file is undone, and used, like any other.

-- R6, as it was; but the former values of a link that was made in a file are written in other words, and mean the same.
CREATE OR REPLACE FUNCTION customer_unlinks_to_what_it_was() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.source = 'MICROSOFT' AND new.source = 'PLATFORM'
        AND NOT EXISTS (
            SELECT 1 FROM customer_link l
            JOIN customer_own_values v ON v.account = l.account AND v.id = l.customer_id
            WHERE l.account = new.account AND l.customer_id = new.id AND l.tenant_id = old.microsoft_tenant_id
                AND l.unlinked_revision = new.revision AND l.former::jsonb = v.own_values::jsonb
        )
    THEN
        RAISE EXCEPTION 'guard R6: a customer is unlinked to the values it had before the link';
    END IF;
    RETURN new;
END
$$;

-- The copy that was made into this database, if there was one: from which file, when its rows began to come (0 as long as only
-- the database is taken for it), and when it was finished with both sides equal. A copy makes this table before all others.
CREATE TABLE IF NOT EXISTS store_copy (
    only_row BIGINT PRIMARY KEY NOT NULL DEFAULT 1 CHECK (only_row = 1),
    source TEXT COLLATE "C" NOT NULL,
    began_at BIGINT NOT NULL,
    finished_at BIGINT
);
-- Whoever serves asks it whether a copy is finished, with whatever role.
GRANT SELECT ON store_copy TO PUBLIC;
