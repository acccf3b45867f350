-- Questions that are asked often and must not read every customer of a large account.

-- The name that the customer is compared by, while it is the platform's own: what a newcomer from Partner Center is compared
-- with. Microsoft's customers of one name may be many.
ALTER TABLE customer_match ADD COLUMN platform_key TEXT COLLATE "C";

UPDATE customer_match SET platform_key = match_key WHERE EXISTS (
    SELECT 1 FROM customer c
    WHERE c.account = customer_match.account AND c.id = customer_match.customer_id AND c.source = 'PLATFORM'
);

-- Finds the platform's own customers of a name.
CREATE INDEX customer_match_of_the_platform ON customer_match (account, platform_key) WHERE platform_key IS NOT NULL;

-- Counts the customers with an active relationship; holds it too, so that no customer is read for that.
CREATE INDEX customer_active ON customer (account, relationship) WHERE relationship = 'ACTIVE';
