-- The whole current schema of an Oriel database, readable top to bottom.
--
-- Names and columns follow the ClairV4 notification design. Where this schema
-- deviates from it, the reason is next to the deviation:
--
--   * `vuln`, `enrichment` and `manifest_index` are views with the design's
--     columns. The tables behind them have interned ids instead of texts that
--     would be repeated a million times, and the common text of the rows of one
--     advisory is stored once. At half a million rows that halves the file.
--   * There is no association row for every vulnerability in every update.
--     Each distinct row of an updater is stored once and lives over an interval
--     of that updater's operations, so an update costs what changed.
--
-- Intervals. Each updater has a counter, and each of its operations takes the
-- next number (seq). A row is visible at operation s of its updater when
-- added <= s and (removed is null or s < removed). The current view is
-- visibility at the updater's greatest seq of that kind. A row whose removed
-- is null is "open": it was in the feed at the last import, and the next import
-- is compared with it.
--
-- Times are integers, milliseconds since 1970 unless the column says otherwise.

-- All feeds that ever existed. last_seq is incremented before an import writes
-- its first row, so that no number is used twice, even after a crash. unfinished
-- counts the imports that began and did not complete since the last sweep of
-- garbage.
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
-- operation deletes only this row: the design's cascade to `vuln` would delete
-- rows that later operations see, too. Rows that nothing sees are collected.
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

-- Pins protect rows from garbage collection in addition to the operations: the
-- rows of operation seq stay for the owner. The pins of "notifier" are the
-- operations that were announced last.
CREATE TABLE pin (
    owner   TEXT    NOT NULL,
    updater TEXT    NOT NULL REFERENCES updater (name),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (owner, updater)
) STRICT, WITHOUT ROWID;

-- The result of each feed's last run.
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
-- are few and never deleted; references use 0 for none.
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

-- The common text of the rows of one advisory. description and links are TEXT,
-- or a compressed BLOB (s2 or zstd) if that is shorter.
CREATE TABLE advisory (
    id                  INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL,
    description         ANY     NOT NULL,
    issued              INTEGER,                  -- seconds since 1970; null = unknown
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
-- order of their packages, so that the rows of a report are close together.
-- advisory_id refers to advisory without a foreign key, because SQLite's check
-- would take a sixth of the time of an import. Advisories are written before
-- their rows, and collected after the last of them.
CREATE TABLE vuln_row (
    id               INTEGER PRIMARY KEY,
    updater_id       INTEGER NOT NULL,            -- updater.id
    hash             BLOB    NOT NULL,            -- 128 bits over everything that is a change to a client
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
-- id, in which the list of one platform is read.
CREATE INDEX vuln_row_section ON vuln_row (updater_id, dist_id, repo_id);

-- All rows of any hash that has more than one, which are few.
CREATE INDEX vuln_row_hash ON vuln_row (updater_id, hash) WHERE removed IS NOT NULL OR returned;

-- The open rows by hash, which an import compares with its feed. This is a table
-- and not an index on vuln_row, because it is filled in the order of the hashes,
-- many at a time; filled row by row it would write one page for every row.
CREATE TABLE vuln_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;

-- The design's relation. uo_id is the operation that added the row (null once
-- that operation is deleted while later ones still see the row); active is 1 if
-- the row is open. dist_id is the distribution's DID, as in the design.
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

-- Manifests and their contents. report is the index report as JSON, zstd.
CREATE TABLE manifest (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE index_report (
    manifest_id   INTEGER PRIMARY KEY REFERENCES manifest (id) ON DELETE CASCADE,
    state         TEXT    NOT NULL,
    report        BLOB    NOT NULL,               -- the contents of the index, in any state
    date          INTEGER NOT NULL,
    err           TEXT    NOT NULL DEFAULT '',    -- why the state is IndexError
    indexer_state TEXT    NOT NULL DEFAULT ''     -- of the readers that made it; '' = made elsewhere
) STRICT;

-- Layers, which manifests share, and the results of readers. A layer is deleted
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

-- A package of manifests. A source package represents the binaries that were
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

-- A package in a distribution and a repository, in some manifest.
-- Whether a vulnerability affects it is decided once for all manifests.
CREATE TABLE place (
    id         INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL,                  -- package.id
    dist_id    INTEGER NOT NULL,                  -- 0 = none
    repo_id    INTEGER NOT NULL,                  -- 0 = none
    UNIQUE (package_id, dist_id, repo_id)
) STRICT;

-- The places of manifests. There is no foreign key to manifest, because deleting
-- a manifest would then search this whole table; it deletes the rows that its
-- report names instead.
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
    tags       TEXT    NOT NULL,                  -- JSON array; enrichment_tag is its index
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

-- The keys of enrichments, such as "CVE-2024-3094".
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

-- The changes of an update operation for manifests: one set of rows for each
-- operation that affects any. ref is its UUID, computed from the operation's, so
-- that a second attempt makes the same set. It is not visible before it is
-- complete, which it becomes in the commit that moves the notifier's pin to the
-- operation and writes the receipts. It names its operation without a foreign
-- key, because it may outlive it.
CREATE TABLE notification (
    id       INTEGER PRIMARY KEY,
    ref      TEXT    NOT NULL UNIQUE,
    uo_ref   TEXT    NOT NULL UNIQUE,
    updater  TEXT    NOT NULL,
    date     INTEGER NOT NULL,
    rows     INTEGER NOT NULL DEFAULT 0,          -- of the view ''
    complete INTEGER NOT NULL DEFAULT 0,
    deleted  INTEGER NOT NULL DEFAULT 0           -- 1 = all its receivers are done
) STRICT;

-- The rows of a set. The design stores each as JSON; here adjacent rows that
-- differ only in the manifest are stored together, and a vulnerability of ten
-- thousand manifests is stored once. view is '' for all rows, or the webhook
-- whose rule selected them.
CREATE TABLE notification_body (
    notification_id INTEGER NOT NULL,
    view            TEXT    NOT NULL,
    n               INTEGER NOT NULL,             -- number of the first row in the view, from 1
    manifests       TEXT    NOT NULL,             -- digests, separated by spaces; they may be deleted
    reason          TEXT    NOT NULL,             -- added, removed or changed
    package_version TEXT    NOT NULL,             -- as it is installed
    vuln_id         INTEGER NOT NULL,             -- of notification_vuln
    previous_id     INTEGER,                      -- the old state of a changed one
    PRIMARY KEY (notification_id, view, n)
) STRICT, WITHOUT ROWID;

-- The vulnerabilities of a set, copied, since their rows may be collected.
CREATE TABLE notification_vuln (
    notification_id INTEGER NOT NULL,
    vuln_id         INTEGER NOT NULL,
    vuln            BLOB    NOT NULL,             -- JSON, zstd
    PRIMARY KEY (notification_id, vuln_id)
) STRICT, WITHOUT ROWID;

-- The progress of the delivery of a set to each webhook. The design has one
-- receipt for each operation; here every webhook has its own.
CREATE TABLE receipt (
    notification_id INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    webhook         TEXT    NOT NULL,
    view            TEXT    NOT NULL,             -- the rows that it gets
    status          TEXT    NOT NULL,             -- created, delivered, delivery_failed or deleted
    rows            INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    under_way       INTEGER NOT NULL DEFAULT 0,   -- 1 = an attempt began and has not ended;
                                                  -- 2 = and the set was deleted in the meantime
    since           INTEGER NOT NULL,             -- start of the time after which Oriel gives up
    last_attempt    INTEGER,
    next_attempt    INTEGER,                      -- null = none
    error           TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (notification_id, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_next ON receipt (webhook, next_attempt) WHERE next_attempt IS NOT NULL;
