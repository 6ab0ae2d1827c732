-- The whole current schema of an Oriel database, readable top to bottom.
--
-- Names and columns follow the ClairV4 notification design. Where this schema
-- deviates from it, the reason stands beside the deviation:
--
--   * `vuln`, `enrichment` and `manifest_index` are views with the design's
--     columns. The tables behind them hold interned ids in place of texts that
--     would be repeated a million times, and the text that the rows of one
--     advisory share is stored once. At half a million rows that halves the
--     file.
--   * There is no association row for every vulnerability in every update.
--     Each distinct row of an updater is kept once and lives over an interval
--     of that updater's operations, so an update costs what changed.
--
-- Intervals. Each updater has a counter, and each of its operations takes the
-- next number (seq). A row is visible at operation s of its updater when
-- added <= s and (removed is null or s < removed). The current view is
-- visibility at the updater's greatest seq of that kind. A row whose removed
-- is null is "open": the feed had it when it was last read, and it is the base
-- that the next import compares with.
--
-- Times are integers, milliseconds since 1970 unless the column says otherwise.

-- The feeds there have ever been. last_seq grows before an import writes its
-- first row, so that a number is never used twice, crash or not. unfinished
-- counts the imports that began and did not complete since garbage was last
-- swept.
CREATE TABLE updater (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    unfinished INTEGER NOT NULL DEFAULT 0,
    reread_from INTEGER,                        -- the last two operations between which the reader changed,
    reread_at   INTEGER,                        -- and
    reread_same INTEGER NOT NULL DEFAULT 0      -- whether the feed stayed the same
) STRICT;

-- One complete state of one updater's feed. The row is written by the last
-- commit of an import, so an operation that is listed is complete. Deleting an
-- operation deletes this row alone: the design's cascade to `vuln` would take
-- rows that later operations see too. Rows that nothing sees are collected.
CREATE TABLE update_operation (
    id          INTEGER PRIMARY KEY,
    ref         TEXT    NOT NULL UNIQUE,                       -- UUID
    updater     TEXT    NOT NULL REFERENCES updater (name),
    seq         INTEGER NOT NULL,                              -- place in the updater's order; ours
    fingerprint TEXT    NOT NULL,
    date        INTEGER NOT NULL,
    kind        TEXT    NOT NULL DEFAULT 'vulnerability',      -- or 'enrichment'
    UNIQUE (updater, seq)
) STRICT;

-- What holds rows against garbage collection beside the operations: owner is
-- who holds it, seq the operation whose rows it must still see. The pins of
-- "notifier" are the operations that notifications were last made of.
CREATE TABLE pin (
    owner   TEXT    NOT NULL,
    updater TEXT    NOT NULL REFERENCES updater (name),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (owner, updater)
) STRICT, WITHOUT ROWID;

-- How each feed's last run went.
CREATE TABLE updater_status (
    updater        TEXT    NOT NULL PRIMARY KEY,
    last_attempt   INTEGER,
    last_success   INTEGER,
    error          TEXT    NOT NULL DEFAULT '',   -- '' = the last attempt succeeded
    fingerprint    TEXT    NOT NULL DEFAULT '',
    records        INTEGER NOT NULL DEFAULT 0,    -- rows of the last operation
    skipped        INTEGER NOT NULL DEFAULT 0,    -- records that could not be used
    skipped_sample TEXT    NOT NULL DEFAULT '',
    added          INTEGER NOT NULL DEFAULT 0,
    removed        INTEGER NOT NULL DEFAULT 0,
    took           INTEGER NOT NULL DEFAULT 0,    -- milliseconds
    kind           TEXT    NOT NULL DEFAULT 'vulnerability',
    format         TEXT    NOT NULL DEFAULT '',   -- of the feed; '' = not known
    newest_advisory INTEGER,                      -- when its newest advisory was issued
    next_run       INTEGER,                       -- when the server meant to run it next
    needed         INTEGER,                       -- of an automatic feed: when something last needed it
    needed_for     TEXT    NOT NULL DEFAULT '',   -- and the place that did, such as 'alpine:3.23'
    held_records   INTEGER NOT NULL DEFAULT 0,    -- rows of a smaller state that is held back; 0 = none is
    held_runs      INTEGER NOT NULL DEFAULT 0,    -- runs that found that many
    held_since     INTEGER                        -- the first of them
) STRICT;

-- Distributions and repositories, of advisories and of manifests alike. They
-- are few and never deleted; 0 stands for none where they are referred to.
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

-- What the rows of one advisory share. description and links are TEXT as they
-- are, or a BLOB holding them compressed (s2 or zstd) where that is shorter.
CREATE TABLE advisory (
    id                  INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL,
    description         ANY     NOT NULL,
    issued              INTEGER,                  -- seconds since 1970; null = not said
    links               ANY     NOT NULL,
    severity            TEXT    NOT NULL,         -- the feed's own word or vector
    normalized_severity INTEGER NOT NULL          -- 0 Unknown .. 5 Critical
) STRICT;

-- For deltas, which replace the rows of single advisories.
CREATE INDEX advisory_name ON advisory (name);

-- Other ids of an advisory, such as its CVE.
CREATE TABLE advisory_alias (
    advisory_id INTEGER NOT NULL REFERENCES advisory (id) ON DELETE CASCADE,
    alias       TEXT    NOT NULL,
    PRIMARY KEY (advisory_id, alias)
) STRICT, WITHOUT ROWID;

-- One affected package of one advisory. Rows of one import are written in the
-- order of their packages, so that what a report reads lies together.
-- advisory_id refers to advisory, but is not declared to: SQLite's check of it
-- costs an import a sixth of its time. Advisories are written before their
-- rows, and collected only where none is left.
CREATE TABLE vuln_row (
    id               INTEGER PRIMARY KEY,
    updater_id       INTEGER NOT NULL,            -- updater.id
    hash             BLOB    NOT NULL,            -- 128 bits over all that a client would call a change
    added            INTEGER NOT NULL,            -- seq from which it is visible
    removed          INTEGER,                     -- seq from which it is not; null = open
    advisory_id      INTEGER NOT NULL,
    package_name     TEXT    NOT NULL,
    package_version  TEXT    NOT NULL,
    package_kind     TEXT    NOT NULL,
    package_module   TEXT    NOT NULL,
    package_arch     TEXT    NOT NULL,
    dist_id          INTEGER NOT NULL,            -- dist.id, 0 = none
    repo_id          INTEGER NOT NULL,            -- repo.id, 0 = none
    fixed_in_version TEXT    NOT NULL,
    arch_op          TEXT    NOT NULL,
    vulnerable_range TEXT,                        -- "LOWER UPPER" of normalised versions; null = none
    returned         INTEGER NOT NULL             -- 1 = a row with this hash had been closed before
) STRICT;

-- Matching, retention and diffs, in this order.
CREATE INDEX vuln_row_package ON vuln_row (package_name, dist_id, repo_id);
CREATE INDEX vuln_row_added ON vuln_row (updater_id, added);
CREATE INDEX vuln_row_removed ON vuln_row (updater_id, removed) WHERE removed IS NOT NULL;
CREATE INDEX vuln_row_advisory ON vuln_row (advisory_id);

-- The rows of each updater by distribution and repository, and among those by
-- id: how the list of one platform is read.
CREATE INDEX vuln_row_section ON vuln_row (updater_id, dist_id, repo_id);

-- All rows of any hash that has more than one, which are few.
CREATE INDEX vuln_row_hash ON vuln_row (updater_id, hash) WHERE removed IS NOT NULL OR returned;

-- The open rows by hash: what an import compares its feed with. A table and
-- not an index on vuln_row, because it is filled in the order of the hashes,
-- many at a time; filled row by row it would write one page for every row.
CREATE TABLE vuln_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;

-- The design's relation. uo_id is the operation that added the row (null once
-- that operation is deleted while later ones still see the row); active says
-- whether the row is open. dist_id is the distribution's DID, as in the design.
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

-- Manifests and what they hold. report is the index report as JSON, zstd.
CREATE TABLE manifest (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE index_report (
    manifest_id   INTEGER PRIMARY KEY REFERENCES manifest (id) ON DELETE CASCADE,
    state         TEXT    NOT NULL,
    report        BLOB    NOT NULL,               -- what the index holds, whatever the state
    date          INTEGER NOT NULL,
    err           TEXT    NOT NULL DEFAULT '',    -- why the state is IndexError
    indexer_state TEXT    NOT NULL DEFAULT ''     -- of the readers that made it; '' = made elsewhere
) STRICT;

-- Layers, which manifests share, and what readers found in them. A layer goes
-- with the last manifest that has it.
CREATE TABLE layer (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE manifest_layer (
    manifest_id INTEGER NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    layer_id    INTEGER NOT NULL REFERENCES layer (id),
    PRIMARY KEY (manifest_id, layer_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_layer_layer ON manifest_layer (layer_id);

CREATE TABLE layer_result (
    layer_id      INTEGER PRIMARY KEY REFERENCES layer (id) ON DELETE CASCADE,
    indexer_state TEXT    NOT NULL,
    result        BLOB    NOT NULL                -- zstd
) STRICT;

-- A package as manifests hold it. A source package stands for the binaries
-- built from it.
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

-- A package in a distribution and a repository, as some manifest holds it.
-- Whether a vulnerability affects it is decided once for all manifests.
CREATE TABLE place (
    id         INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL,                  -- package.id
    dist_id    INTEGER NOT NULL,                  -- 0 = none
    repo_id    INTEGER NOT NULL,                  -- 0 = none
    UNIQUE (package_id, dist_id, repo_id)
) STRICT;

-- Which manifests hold what. No foreign key to manifest, whose deletion would
-- then look for its rows here from end to end; deleting a manifest takes the
-- rows that its report names.
CREATE TABLE manifest_index_row (
    place_id    INTEGER NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (place_id, manifest_id)
) STRICT, WITHOUT ROWID;

CREATE VIEW manifest_index AS
SELECT p.package_id, nullif(p.dist_id, 0) AS dist_id, nullif(p.repo_id, 0) AS repo_id, m.hash AS manifest_hash
FROM manifest_index_row AS i
JOIN place AS p ON p.id = i.place_id
JOIN manifest AS m ON m.id = i.manifest_id;

-- Enrichments follow the same rules of intervals as vulnerabilities.
CREATE TABLE enrichment_row (
    id         INTEGER PRIMARY KEY,
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    added      INTEGER NOT NULL,
    removed    INTEGER,
    tags       TEXT    NOT NULL,                  -- JSON array; enrichment_tag finds by them
    data       TEXT    NOT NULL                   -- opaque JSON
) STRICT;

CREATE INDEX enrichment_row_added ON enrichment_row (updater_id, added);
CREATE INDEX enrichment_row_removed ON enrichment_row (updater_id, removed) WHERE removed IS NOT NULL;

CREATE TABLE enrichment_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;

-- What an enrichment is looked up by, such as "CVE-2024-3094".
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

-- What an update operation means for the manifests there were: one set of rows
-- for each operation that affects any. ref is its UUID, made of the
-- operation's, so that whoever has to start again makes the same set. Nobody
-- sees it before it is complete, which it becomes in the commit that moves the
-- notifier's pin to the operation and writes the receipts. It names its
-- operation without a foreign key, since it may outlive it.
CREATE TABLE notification (
    id       INTEGER PRIMARY KEY,
    ref      TEXT    NOT NULL UNIQUE,
    uo_ref   TEXT    NOT NULL UNIQUE,
    updater  TEXT    NOT NULL,
    date     INTEGER NOT NULL,
    rows     INTEGER NOT NULL DEFAULT 0,          -- of the view ''
    complete INTEGER NOT NULL DEFAULT 0,
    deleted  INTEGER NOT NULL DEFAULT 0           -- 1 = its receivers are done with it
) STRICT;

-- The rows of a set. The design keeps each as JSON; here rows that follow one
-- another and differ in the manifest alone are kept together, and a
-- vulnerability that ten thousand manifests are told of once. view is '' for
-- what everyone can read, or the webhook whose rule chose the rows.
CREATE TABLE notification_body (
    notification_id INTEGER NOT NULL,
    view            TEXT    NOT NULL,
    n               INTEGER NOT NULL,             -- place of the first row in the view, from 1
    manifests       TEXT    NOT NULL,             -- digests, a space between; they may be gone
    reason          TEXT    NOT NULL,             -- added, removed or changed
    package_version TEXT    NOT NULL,             -- as it is installed
    vuln_id         INTEGER NOT NULL,             -- of notification_vuln
    previous_id     INTEGER,                      -- what it was before, where it changed
    PRIMARY KEY (notification_id, view, n)
) STRICT, WITHOUT ROWID;

-- The vulnerabilities of a set, copied, since their rows may be collected.
CREATE TABLE notification_vuln (
    notification_id INTEGER NOT NULL,
    vuln_id         INTEGER NOT NULL,
    vuln            BLOB    NOT NULL,             -- JSON, zstd
    PRIMARY KEY (notification_id, vuln_id)
) STRICT, WITHOUT ROWID;

-- How far each webhook has been told of a set. The design's receipt has one
-- for each operation; here every webhook has its own.
CREATE TABLE receipt (
    notification_id INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    webhook         TEXT    NOT NULL,
    view            TEXT    NOT NULL,             -- the rows it is told of
    status          TEXT    NOT NULL,             -- created, delivered, delivery_failed or deleted
    rows            INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    under_way       INTEGER NOT NULL DEFAULT 0,   -- 1 = an attempt began and has not ended;
                                                  -- 2 = and the set was deleted meanwhile by someone
    since           INTEGER NOT NULL,             -- from when it counts how long to try
    last_attempt    INTEGER,
    next_attempt    INTEGER,                      -- null = none is to come
    error           TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (notification_id, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_next ON receipt (webhook, next_attempt) WHERE next_attempt IS NOT NULL;
