-- Enrichments come in operations of their own kind; all operations there are
-- so far brought vulnerabilities.
ALTER TABLE update_operation ADD COLUMN kind TEXT NOT NULL DEFAULT 'vulnerability';
ALTER TABLE updater_status ADD COLUMN kind TEXT NOT NULL DEFAULT 'vulnerability';
CREATE TABLE enrichment_row (
    id         INTEGER PRIMARY KEY,
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    added      INTEGER NOT NULL,
    removed    INTEGER,
    tags       TEXT    NOT NULL,
    data       TEXT    NOT NULL
) STRICT;
CREATE INDEX enrichment_row_added ON enrichment_row (updater_id, added);
CREATE INDEX enrichment_row_removed ON enrichment_row (updater_id, removed) WHERE removed IS NOT NULL;
CREATE TABLE enrichment_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE enrichment_tag (
    updater_id INTEGER NOT NULL,
    tag        TEXT    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, tag, row_id)
) STRICT, WITHOUT ROWID;
CREATE VIEW enrichment AS
SELECT r.id, o.id AS uo_id, r.hash, r.tags, r.data, r.removed IS NULL AS active, u.name AS updater, r.added, r.removed
FROM enrichment_row AS r
JOIN updater AS u ON u.id = r.updater_id
LEFT JOIN update_operation AS o ON o.updater = u.name AND o.seq = r.added;
