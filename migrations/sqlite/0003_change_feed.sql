-- The change log as a feed: new kinds, and how long it is kept.

-- The one row tells up to which place of the change log changes are no longer kept. What is deleted lies at or below it,
-- so that whoever reads on from a place knows whether something is missing.
CREATE TABLE change_log_horizon (
    only_row INTEGER PRIMARY KEY NOT NULL DEFAULT 1
        CONSTRAINT change_log_horizon_has_one_row CHECK (only_row = 1),
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO change_log_horizon (sequence) VALUES (0);

-- One row is one change of one customer, in commit order. Holds which fields changed, never their values.
-- A CHECK cannot be changed in place: the log moves into a new table, every row with its sequence.
CREATE TABLE change_log_rebuilt (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL
        CONSTRAINT change_log_kind_known CHECK (
            kind IN ('CREATED', 'EDITED', 'SYNCED', 'STATE', 'ENDED', 'REVIVED', 'DELETED', 'UNDELETED', 'LINKED', 'UNLINKED')
        ),
    -- Comma-separated field paths.
    fields TEXT NOT NULL,
    -- The caller's subject, or 'partner-center'.
    actor TEXT NOT NULL,
    run_id TEXT,
    at INTEGER NOT NULL,
    CONSTRAINT change_log_has_one_row_per_revision UNIQUE (account, customer_id, revision)
) STRICT;
INSERT INTO change_log_rebuilt (sequence, account, customer_id, revision, kind, fields, actor, run_id, at)
    SELECT sequence, account, customer_id, revision, kind, fields, actor, run_id, at FROM change_log ORDER BY sequence;
-- No sequence is given twice, whatever has been there.
DELETE FROM sqlite_sequence WHERE name = 'change_log_rebuilt';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'change_log_rebuilt', seq FROM sqlite_sequence WHERE name = 'change_log';
DROP TABLE change_log;
ALTER TABLE change_log_rebuilt RENAME TO change_log;

-- Counts what a run changed.
CREATE INDEX change_log_of_run ON change_log (run_id, kind) WHERE run_id IS NOT NULL;

CREATE TRIGGER change_log_is_not_updated BEFORE UPDATE ON change_log
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;
CREATE TRIGGER change_log_is_not_deleted BEFORE DELETE ON change_log
WHEN old.sequence > (SELECT sequence FROM change_log_horizon)
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only, and deleted only up to its horizon'); END;
CREATE TRIGGER change_log_is_not_replaced BEFORE INSERT ON change_log
WHEN EXISTS (SELECT 1 FROM change_log WHERE sequence = new.sequence)
    OR EXISTS (
        SELECT 1 FROM change_log
        WHERE account = new.account AND customer_id = new.customer_id AND revision = new.revision
    )
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;
-- After, because the sequence is not known before.
CREATE TRIGGER change_log_goes_on_above_its_horizon AFTER INSERT ON change_log
WHEN new.sequence <= (SELECT sequence FROM change_log_horizon)
BEGIN SELECT RAISE(ABORT, 'guard: the change log is append-only'); END;

CREATE TRIGGER change_log_horizon_moves_forward BEFORE UPDATE ON change_log_horizon
WHEN new.sequence < old.sequence OR new.only_row IS NOT old.only_row
    OR new.sequence > coalesce((SELECT max(sequence) FROM change_log), old.sequence)
BEGIN SELECT RAISE(ABORT, 'guard: the horizon of the change log moves forward, and not past its end'); END;
CREATE TRIGGER change_log_horizon_is_not_deleted BEFORE DELETE ON change_log_horizon
BEGIN SELECT RAISE(ABORT, 'guard: the change log has one horizon'); END;
CREATE TRIGGER change_log_horizon_is_not_replaced BEFORE INSERT ON change_log_horizon
WHEN EXISTS (SELECT 1 FROM change_log_horizon)
BEGIN SELECT RAISE(ABORT, 'guard: the change log has one horizon'); END;

-- What a run changed: counted from the change log when it ends, so that it is still known when those changes are no
-- longer kept. NULL while it is under way.
ALTER TABLE sync_run ADD COLUMN customers_created INTEGER;
ALTER TABLE sync_run ADD COLUMN customers_changed INTEGER;
ALTER TABLE sync_run ADD COLUMN customers_ended INTEGER;
ALTER TABLE sync_run ADD COLUMN customers_revived INTEGER;
UPDATE sync_run SET
    customers_created = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'CREATED'),
    customers_changed = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'SYNCED'),
    customers_ended = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'ENDED'),
    customers_revived = (SELECT count(*) FROM change_log WHERE run_id = sync_run.id AND kind = 'REVIVED')
WHERE state IN ('SUCCEEDED', 'FAILED');

-- When the reading of the audit log began that was the last to reach its end: what the log told before then is known.
-- Unknown until the next reading.
ALTER TABLE account_sync ADD COLUMN audit_read_from INTEGER;
