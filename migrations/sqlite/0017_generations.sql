-- A database can be put back to an earlier state. Whoever holds something of the state that was lost is told so.

-- One row is a stretch of the store's history: it ends where the next one begins.
CREATE TABLE generation (
    number INTEGER PRIMARY KEY NOT NULL,
    -- Drawn by chance: two histories that went on from the same backup have different ones.
    id TEXT NOT NULL CONSTRAINT generation_id_once UNIQUE,
    -- The last change there was when it began.
    began_after INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    -- Which database of which server it is in; empty for a file.
    server TEXT NOT NULL,
    -- Whether the database was found to have been put back: every account is then compared with Partner Center anew.
    is_restored INTEGER NOT NULL CONSTRAINT generation_is_restored_or_not CHECK (is_restored IN (0, 1))
) STRICT;
-- When was the database last put back? Asked whenever it is decided what an account is due.
CREATE INDEX generation_restored ON generation (began_at) WHERE is_restored = 1;
