-- The change log as a feed: new kinds, and how long it is kept.

-- The one row tells up to which place of the change log changes are no longer kept. What is deleted lies at or below it,
-- so that whoever reads on from a place knows whether something is missing.
CREATE TABLE change_log_horizon (
    only_row BIGINT PRIMARY KEY NOT NULL DEFAULT 1
        CONSTRAINT change_log_horizon_has_one_row CHECK (only_row = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO change_log_horizon (sequence) VALUES (0);

ALTER TABLE change_log DROP CONSTRAINT change_log_kind_known;
ALTER TABLE change_log ADD CONSTRAINT change_log_kind_known CHECK (
    kind IN ('CREATED', 'EDITED', 'SYNCED', 'STATE', 'ENDED', 'REVIVED', 'DELETED', 'UNDELETED', 'LINKED', 'UNLINKED')
);

DROP TRIGGER change_log_is_not_deleted ON change_log;
DROP FUNCTION change_log_is_not_deleted();
CREATE FUNCTION change_log_is_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.sequence > (SELECT sequence FROM change_log_horizon)
    THEN
        RAISE EXCEPTION 'guard: the change log is append-only, and deleted only up to its horizon';
    END IF;
    RETURN old;
END
$$;
CREATE TRIGGER change_log_is_not_deleted BEFORE DELETE ON change_log
    FOR EACH ROW EXECUTE FUNCTION change_log_is_not_deleted();
CREATE FUNCTION change_log_goes_on_above_its_horizon() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.sequence <= (SELECT sequence FROM change_log_horizon)
    THEN
        RAISE EXCEPTION 'guard: the change log is append-only';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER change_log_goes_on_above_its_horizon AFTER INSERT ON change_log
    FOR EACH ROW EXECUTE FUNCTION change_log_goes_on_above_its_horizon();

CREATE FUNCTION change_log_horizon_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.sequence < old.sequence OR new.only_row IS DISTINCT FROM old.only_row
        OR new.sequence > coalesce((SELECT max(sequence) FROM change_log), old.sequence)
    THEN
        RAISE EXCEPTION 'guard: the horizon of the change log moves forward, and not past its end';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER change_log_horizon_moves_forward BEFORE UPDATE ON change_log_horizon
    FOR EACH ROW EXECUTE FUNCTION change_log_horizon_moves_forward();
CREATE FUNCTION change_log_horizon_is_not_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'guard: the change log has one horizon';
END
$$;
CREATE TRIGGER change_log_horizon_is_not_deleted BEFORE DELETE ON change_log_horizon
    FOR EACH ROW EXECUTE FUNCTION change_log_horizon_is_not_deleted();
CREATE FUNCTION change_log_horizon_is_not_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM change_log_horizon)
    THEN
        RAISE EXCEPTION 'guard: the change log has one horizon';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER change_log_horizon_is_not_replaced BEFORE INSERT ON change_log_horizon
    FOR EACH ROW EXECUTE FUNCTION change_log_horizon_is_not_replaced();

-- What a run changed: counted from the change log when it ends, so that it is still known when those changes are no
-- longer kept. NULL while it is under way.
ALTER TABLE sync_run ADD COLUMN customers_created BIGINT;
ALTER TABLE sync_run ADD COLUMN customers_changed BIGINT;
ALTER TABLE sync_run ADD COLUMN customers_ended BIGINT;
ALTER TABLE sync_run ADD COLUMN customers_revived BIGINT;
UPDATE sync_run SET
    customers_created = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'CREATED'),
    customers_changed = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'SYNCED'),
    customers_ended = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'ENDED'),
    customers_revived = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'REVIVED')
WHERE state IN ('SUCCEEDED', 'FAILED');

-- When the reading of the audit log began that was the last to reach its end: what the log told before then is known.
-- Unknown until the next reading.
ALTER TABLE account_sync ADD COLUMN audit_read_from BIGINT;

-- TRUNCATE asks no trigger of a row.
CREATE TRIGGER change_log_horizon_is_not_truncated BEFORE TRUNCATE ON change_log_horizon
    FOR EACH STATEMENT EXECUTE FUNCTION nothing_is_truncated();
