-- Several processes serve one database: who is alive, who synchronizes which account, and what others must be told.

-- One row is a process that serves this database.
CREATE TABLE replica (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    -- What an operator calls it.
    name TEXT COLLATE "C" NOT NULL,
    -- Until when the others take it to be alive, by the database's clock.
    alive_until BIGINT NOT NULL
);

-- The replica that synchronizes the account, as long as it is alive. Every new holder raises lease_epoch.
ALTER TABLE partner_account ADD COLUMN lease_holder TEXT COLLATE "C";

-- A lease goes to nobody without a new epoch: what its former holder still writes can be told by it.
CREATE FUNCTION partner_account_lease_raises_its_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.lease_epoch < old.lease_epoch
        OR (new.lease_holder IS NOT NULL AND new.lease_holder IS DISTINCT FROM old.lease_holder
            AND new.lease_epoch <= old.lease_epoch)
    THEN
        RAISE EXCEPTION 'guard lease: a new holder raises the epoch';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER partner_account_lease_raises_its_epoch BEFORE UPDATE OF lease_holder, lease_epoch ON partner_account
    FOR EACH ROW EXECUTE FUNCTION partner_account_lease_raises_its_epoch();

-- One row is something that processes wait for: an account's work, customers, accounts. Its stamp is higher than that of
-- everything that was told of before it. Rewritten by most transactions, and read by every process several times a second.
CREATE TABLE wakeup (
    topic TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    stamp BIGINT NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE SEQUENCE wakeup_stamp;
