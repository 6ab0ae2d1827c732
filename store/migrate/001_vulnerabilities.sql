-- The schema before enrichment existed. schema.sql says what everything means.
CREATE TABLE updater (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    unfinished INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE update_operation (
    id          INTEGER PRIMARY KEY,
    ref         TEXT    NOT NULL UNIQUE,
    updater     TEXT    NOT NULL REFERENCES updater (name),
    seq         INTEGER NOT NULL,
    fingerprint TEXT    NOT NULL,
    date        INTEGER NOT NULL,
    UNIQUE (updater, seq)
) STRICT;
CREATE TABLE pin (
    owner   TEXT    NOT NULL,
    updater TEXT    NOT NULL REFERENCES updater (name),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (owner, updater)
) STRICT, WITHOUT ROWID;
CREATE TABLE updater_status (
    updater        TEXT    NOT NULL PRIMARY KEY,
    last_attempt   INTEGER,
    last_success   INTEGER,
    error          TEXT    NOT NULL DEFAULT '',
    fingerprint    TEXT    NOT NULL DEFAULT '',
    records        INTEGER NOT NULL DEFAULT 0,
    skipped        INTEGER NOT NULL DEFAULT 0,
    skipped_sample TEXT    NOT NULL DEFAULT '',
    added          INTEGER NOT NULL DEFAULT 0,
    removed        INTEGER NOT NULL DEFAULT 0,
    took           INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE dist (
    id                INTEGER PRIMARY KEY,
    did               TEXT NOT NULL,
    name              TEXT NOT NULL,
    version           TEXT NOT NULL,
    version_code_name TEXT NOT NULL,
    version_id        TEXT NOT NULL,
    arch              TEXT NOT NULL,
    cpe               TEXT NOT NULL,
    pretty_name       TEXT NOT NULL,
    UNIQUE (did, name, version, version_code_name, version_id, arch, cpe, pretty_name)
) STRICT;
CREATE TABLE repo (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key  TEXT NOT NULL,
    uri  TEXT NOT NULL,
    cpe  TEXT NOT NULL,
    UNIQUE (name, key, uri, cpe)
) STRICT;
CREATE TABLE advisory (
    id                  INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL,
    description         ANY     NOT NULL,
    issued              INTEGER,
    links               ANY     NOT NULL,
    severity            TEXT    NOT NULL,
    normalized_severity INTEGER NOT NULL
) STRICT;
CREATE TABLE advisory_alias (
    advisory_id INTEGER NOT NULL REFERENCES advisory (id) ON DELETE CASCADE,
    alias       TEXT    NOT NULL,
    PRIMARY KEY (advisory_id, alias)
) STRICT, WITHOUT ROWID;
CREATE TABLE vuln_row (
    id               INTEGER PRIMARY KEY,
    updater_id       INTEGER NOT NULL,
    hash             BLOB    NOT NULL,
    added            INTEGER NOT NULL,
    removed          INTEGER,
    advisory_id      INTEGER NOT NULL REFERENCES advisory (id),
    package_name     TEXT    NOT NULL,
    package_version  TEXT    NOT NULL,
    package_kind     TEXT    NOT NULL,
    package_module   TEXT    NOT NULL,
    package_arch     TEXT    NOT NULL,
    dist_id          INTEGER NOT NULL,
    repo_id          INTEGER NOT NULL,
    fixed_in_version TEXT    NOT NULL,
    arch_op          TEXT    NOT NULL,
    vulnerable_range TEXT,
    returned         INTEGER NOT NULL
) STRICT;
CREATE INDEX vuln_row_package ON vuln_row (package_name, dist_id, repo_id);
CREATE INDEX vuln_row_added ON vuln_row (updater_id, added);
CREATE INDEX vuln_row_removed ON vuln_row (updater_id, removed) WHERE removed IS NOT NULL;
CREATE INDEX vuln_row_hash ON vuln_row (updater_id, hash) WHERE removed IS NOT NULL OR returned;
CREATE INDEX vuln_row_advisory ON vuln_row (advisory_id);
CREATE TABLE vuln_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;
CREATE VIEW vuln AS
SELECT r.id, o.id AS uo_id, r.hash, a.name, a.description, a.links, a.severity,
       r.package_name, r.package_version, r.package_kind,
       d.did AS dist_id, d.name AS dist_name, d.version AS dist_version,
       d.version_code_name AS dist_version_code_name, d.version_id AS dist_version_id,
       d.arch AS dist_arch, d.cpe AS dist_cpe, d.pretty_name AS dist_pretty_name,
       p.name AS repo_name, p.key AS repo_key, p.uri AS repo_uri,
       r.fixed_in_version, r.removed IS NULL AS active,
       u.name AS updater, r.added, r.removed
FROM vuln_row AS r
JOIN updater AS u ON u.id = r.updater_id
JOIN advisory AS a ON a.id = r.advisory_id
LEFT JOIN update_operation AS o ON o.updater = u.name AND o.seq = r.added
LEFT JOIN dist AS d ON d.id = r.dist_id
LEFT JOIN repo AS p ON p.id = r.repo_id;
CREATE TABLE manifest (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;
CREATE TABLE index_report (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifest (id) ON DELETE CASCADE,
    state       TEXT    NOT NULL,
    report      BLOB    NOT NULL,
    date        INTEGER NOT NULL
) STRICT;
CREATE TABLE package (
    id                 INTEGER PRIMARY KEY,
    name               TEXT NOT NULL,
    version            TEXT NOT NULL,
    kind               TEXT NOT NULL,
    module             TEXT NOT NULL,
    arch               TEXT NOT NULL,
    normalized_version TEXT NOT NULL,
    UNIQUE (name, version, kind, module, arch, normalized_version)
) STRICT;
CREATE TABLE manifest_index_row (
    package_id  INTEGER NOT NULL,
    dist_id     INTEGER NOT NULL,
    repo_id     INTEGER NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (package_id, dist_id, repo_id, manifest_id)
) STRICT, WITHOUT ROWID;
CREATE VIEW manifest_index AS
SELECT i.package_id, nullif(i.dist_id, 0) AS dist_id, nullif(i.repo_id, 0) AS repo_id, m.hash AS manifest_hash
FROM manifest_index_row AS i
JOIN manifest AS m ON m.id = i.manifest_id;
