-- Several processes serve one database: who is alive, who synchronizes which account, and what others must be told.
-- An embedded file has one process, and it is told within.

-- One row is a process that serves this database.
CREATE TABLE replica (
    id TEXT PRIMARY KEY NOT NULL,
    -- What an operator calls it.
    name TEXT NOT NULL,
    -- Until when the others take it to be alive, by the database's clock.
    alive_until INTEGER NOT NULL
) STRICT;

-- The replica that synchronizes the account, as long as it is alive. Every new holder raises lease_epoch.
ALTER TABLE partner_account ADD COLUMN lease_holder TEXT;

-- A lease goes to nobody without a new epoch: what its former holder still writes can be told by it.
CREATE TRIGGER partner_account_lease_raises_its_epoch BEFORE UPDATE OF lease_holder, lease_epoch ON partner_account
WHEN new.lease_epoch < old.lease_epoch
    OR (new.lease_holder IS NOT NULL AND new.lease_holder IS NOT old.lease_holder AND new.lease_epoch <= old.lease_epoch)
BEGIN
    SELECT RAISE(ABORT, 'guard lease: a new holder raises the epoch');
END;

-- One row is something that processes wait for: an account's work, customers, accounts. Its stamp is higher than that of
-- everything that was told of before it.
CREATE TABLE wakeup (
    topic TEXT PRIMARY KEY NOT NULL,
    stamp INTEGER NOT NULL
) STRICT;
