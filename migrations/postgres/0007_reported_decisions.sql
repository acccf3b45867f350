-- Decisions about callers that are only reported: the refusal was recorded, and the rest of the edit was made.

ALTER TABLE decision ADD COLUMN outcome TEXT COLLATE "C" NOT NULL DEFAULT 'REFUSED'
    CONSTRAINT decision_outcome_known CHECK (outcome IN ('REFUSED', 'REPORTED'));
