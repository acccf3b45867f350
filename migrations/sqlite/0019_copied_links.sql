-- A file is never copied into: this number is PostgreSQL's.
SELECT 1;
