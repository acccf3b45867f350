-- A database can be put back to an earlier state. Whoever holds something of the state that was lost is told so.

-- One row is a stretch of the store's history: it ends where the next one begins.
CREATE TABLE generation (
    number BIGINT PRIMARY KEY NOT NULL,
    -- Drawn by chance: two histories that went on from the same backup have different ones.
    id TEXT COLLATE "C" NOT NULL CONSTRAINT generation_id_once UNIQUE,
    -- The last change there was when it began.
    began_after BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    -- Which database of which server it is in; empty for a file.
    server TEXT COLLATE "C" NOT NULL,
    -- Whether the database was found to have been put back: every account is then compared with Partner Center anew.
    is_restored BOOLEAN NOT NULL
);
-- When was the database last put back? Asked whenever it is decided what an account is due.
CREATE INDEX generation_restored ON generation (began_at) WHERE is_restored;
