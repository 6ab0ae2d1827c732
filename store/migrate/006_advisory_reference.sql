-- A reference that costs more to check than it protects is no longer declared.
-- Rows stay as they are, so the declaration alone is changed.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER NOT NULL REFERENCES advisory (id),', 'INTEGER NOT NULL,')
WHERE type = 'table' AND name = 'vuln_row';
PRAGMA writable_schema = RESET;
