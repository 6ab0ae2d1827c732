-- A row of the index names a place, which many manifests share, in place of
-- its package, distribution and repository.
CREATE TABLE place (
    id         INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL,
    dist_id    INTEGER NOT NULL,
    repo_id    INTEGER NOT NULL,
    UNIQUE (package_id, dist_id, repo_id)
) STRICT;
INSERT INTO place (package_id, dist_id, repo_id)
SELECT DISTINCT package_id, dist_id, repo_id FROM manifest_index_row;
DROP VIEW manifest_index;
ALTER TABLE manifest_index_row RENAME TO old_row;
CREATE TABLE manifest_index_row (
    place_id    INTEGER NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (place_id, manifest_id)
) STRICT, WITHOUT ROWID;
INSERT INTO manifest_index_row
SELECT p.id, o.manifest_id FROM place AS p CROSS JOIN old_row AS o
    ON o.package_id = p.package_id AND o.dist_id = p.dist_id AND o.repo_id = p.repo_id;
DROP TABLE old_row;
CREATE VIEW manifest_index AS
SELECT p.package_id, nullif(p.dist_id, 0) AS dist_id, nullif(p.repo_id, 0) AS repo_id, m.hash AS manifest_hash
FROM manifest_index_row AS i
JOIN place AS p ON p.id = i.place_id
JOIN manifest AS m ON m.id = i.manifest_id;
