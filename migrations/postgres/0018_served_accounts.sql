-- Replicas whose configurations name different accounts divide none among each other.

-- Which accounts the replica serves, as a hash of their names. NULL of a release that did not say so: it counts as one that
-- serves the same.
ALTER TABLE replica ADD COLUMN serves TEXT COLLATE "C";
