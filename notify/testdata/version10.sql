-- A database of version 10, from before names had one spelling: the feed
-- upgrade.zip of format osv, and a manifest with Django, Zope.Interface and flask.
-- Its reader took Zope.Interface to be fixed in 4.0, not 6.0.
PRAGMA foreign_keys = 0;
BEGIN TRANSACTION;
CREATE TABLE advisory (
    id                  INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL,
    description         ANY     NOT NULL,
    issued              INTEGER,                  -- seconds since 1970; null = not said
    links               ANY     NOT NULL,
    severity            TEXT    NOT NULL,         -- the feed's own word or vector
    normalized_severity INTEGER NOT NULL          -- 0 Unknown .. 5 Critical
) STRICT;
INSERT INTO "advisory" VALUES(1,'GHSA-aaaa-bbbb-cccc','s GHSA-aaaa-bbbb-cccc

d',1704067200,'https://example.test/GHSA-aaaa-bbbb-cccc','CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H',5);
INSERT INTO "advisory" VALUES(2,'PYSEC-2024-1','s PYSEC-2024-1

d',1704067200,'https://example.test/PYSEC-2024-1','CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H',5);
INSERT INTO "advisory" VALUES(3,'GHSA-dddd-eeee-ffff','s GHSA-dddd-eeee-ffff

d',1704067200,'https://example.test/GHSA-dddd-eeee-ffff','CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H',5);
CREATE TABLE advisory_alias (
    advisory_id INTEGER NOT NULL REFERENCES advisory (id) ON DELETE CASCADE,
    alias       TEXT    NOT NULL,
    PRIMARY KEY (advisory_id, alias)
) STRICT, WITHOUT ROWID;
INSERT INTO "advisory_alias" VALUES(1,'CVE-2024-1111');
INSERT INTO "advisory_alias" VALUES(2,'CVE-2024-1111');
INSERT INTO "advisory_alias" VALUES(2,'GHSA-aaaa-bbbb-cccc');
INSERT INTO "advisory_alias" VALUES(3,'CVE-2024-2222');
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
CREATE TABLE enrichment_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE enrichment_row (
    id         INTEGER PRIMARY KEY,
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    added      INTEGER NOT NULL,
    removed    INTEGER,
    tags       TEXT    NOT NULL,                  -- JSON array; enrichment_tag finds by them
    data       TEXT    NOT NULL                   -- opaque JSON
) STRICT;
CREATE TABLE enrichment_tag (
    updater_id INTEGER NOT NULL,
    tag        TEXT    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, tag, row_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE index_report (
    manifest_id   INTEGER PRIMARY KEY REFERENCES manifest (id) ON DELETE CASCADE,
    state         TEXT    NOT NULL,
    report        BLOB    NOT NULL,               -- what the index holds, whatever the state
    date          INTEGER NOT NULL,
    err           TEXT    NOT NULL DEFAULT '',    -- why the state is IndexError
    indexer_state TEXT    NOT NULL DEFAULT ''     -- of the readers that made it; '' = made elsewhere
) STRICT;
INSERT INTO "index_report" VALUES(1,'IndexFinished',X'28B52FFD605203CD0B00D29A4C223069AA00202E5DC868950DB4D3F225D6AE308CE0E00CF85E5842D8F0025C46440454D5BF9F93BF5831EB9E52764E41BFAA0089B6C4A304245F07D5C1D90DF6F4B5F3EF5F3BB09DC74EF1E2ACB0BFCE8C242042B02108185A2EE44292FC1EF11CCAA0429E609C9D00F9ABE2849C9A1AA0198D960B69302C95B546DFF7547CBDE54232766ABF98B1368D92E75745ED298C5D15889E95F6FBAA1089B6C4A32887B1B06BCFE40A090C96B12049BEAA7FCFD27DDD79BCD08936CD08BFBE980D36E2FB075BFA3A3392EF616C3A39E1EB11820D41E07B9E1AFC3AF2FDEB537BE4D49E32D424D7E4D71F47B4610F28F08304DF736D957E9D19863D971C94A3390EA431F62C7C2CC9B1001C8E118BA2304DD3DCF1F0811C18630A03C09E734DD22CECA0B8C79659588BE8F7116D9153293F0DDB742A18008399A10088180AC22BF08CC6FB0EB7BF7240B370012C677EC381A81241A5765F3BBA4F5166C50778CB36DA0BCE2B86A360335008C139AC71748C7D8DA1A8A4DB9414',1795878691653,'','');
CREATE TABLE layer (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;
CREATE TABLE layer_result (
    layer_id      INTEGER PRIMARY KEY REFERENCES layer (id) ON DELETE CASCADE,
    indexer_state TEXT    NOT NULL,
    result        BLOB    NOT NULL                -- zstd
) STRICT;
CREATE TABLE manifest (
    id   INTEGER PRIMARY KEY,
    hash TEXT    NOT NULL UNIQUE
) STRICT;
INSERT INTO "manifest" VALUES(1,'sha256:2dc4725939ccd2864222710ef0ca996445bec0850350e5f22a10090473cd266e');
CREATE TABLE manifest_index_row (
    place_id    INTEGER NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (place_id, manifest_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "manifest_index_row" VALUES(1,1);
INSERT INTO "manifest_index_row" VALUES(2,1);
INSERT INTO "manifest_index_row" VALUES(3,1);
CREATE TABLE manifest_layer (
    manifest_id INTEGER NOT NULL REFERENCES manifest (id) ON DELETE CASCADE,
    layer_id    INTEGER NOT NULL REFERENCES layer (id),
    PRIMARY KEY (manifest_id, layer_id)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE notification_vuln (
    notification_id INTEGER NOT NULL,
    vuln_id         INTEGER NOT NULL,
    vuln            BLOB    NOT NULL,             -- JSON, zstd
    PRIMARY KEY (notification_id, vuln_id)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "package" VALUES(1,'Django','3.2','binary','','','');
INSERT INTO "package" VALUES(2,'Zope.Interface','5.0','binary','','','');
INSERT INTO "package" VALUES(3,'flask','1.0','binary','','','');
CREATE TABLE pin (
    owner   TEXT    NOT NULL,
    updater TEXT    NOT NULL REFERENCES updater (name),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (owner, updater)
) STRICT, WITHOUT ROWID;
INSERT INTO "pin" VALUES('notifier','osv/PyPI',1);
CREATE TABLE place (
    id         INTEGER PRIMARY KEY,
    package_id INTEGER NOT NULL,                  -- package.id
    dist_id    INTEGER NOT NULL,                  -- 0 = none
    repo_id    INTEGER NOT NULL,                  -- 0 = none
    UNIQUE (package_id, dist_id, repo_id)
) STRICT;
INSERT INTO "place" VALUES(1,1,0,1);
INSERT INTO "place" VALUES(2,2,0,1);
INSERT INTO "place" VALUES(3,3,0,1);
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
CREATE TABLE repo (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key  TEXT NOT NULL,
    uri  TEXT NOT NULL,
    cpe  TEXT NOT NULL,
    UNIQUE (name, key, uri, cpe)
) STRICT;
INSERT INTO "repo" VALUES(1,'pypi','','https://pypi.org/simple','');
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
INSERT INTO "update_operation" VALUES(1,'49fd7c31-0c5a-4db2-88e7-1660e926fdcf','osv/PyPI',1,'755a6cb6890d sha256=7fd5dc5fcd4fb25da7274a974f7cb56c1bbbf1591ca436f01781f1ec80038b4c',1795878691596,'vulnerability');
CREATE TABLE updater (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    last_seq   INTEGER NOT NULL DEFAULT 0,
    unfinished INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "updater" VALUES(1,'osv/PyPI',1,0);
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
    next_run       INTEGER                        -- when the server meant to run it next
) STRICT;
INSERT INTO "updater_status" VALUES('osv/PyPI',1795878691593,1795878691597,'','755a6cb6890d sha256=7fd5dc5fcd4fb25da7274a974f7cb56c1bbbf1591ca436f01781f1ec80038b4c',3,0,'',3,0,3,'vulnerability','osv',1704067200000,NULL);
CREATE TABLE vuln_open (
    updater_id INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (updater_id, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO "vuln_open" VALUES(1,X'286613188753112BB407EF6A8E83D9B9',2);
INSERT INTO "vuln_open" VALUES(1,X'55B679A526668441E0792B9DBC9A8639',3);
INSERT INTO "vuln_open" VALUES(1,X'B3BE27229A09360ECE0E26C446D7534C',1);
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
INSERT INTO "vuln_row" VALUES(1,1,X'B3BE27229A09360ECE0E26C446D7534C',1,NULL,1,'django','','binary','','',0,1,'fixed=4.0','',NULL,0);
INSERT INTO "vuln_row" VALUES(2,1,X'286613188753112BB407EF6A8E83D9B9',1,NULL,2,'django','','binary','','',0,1,'fixed=4.0','',NULL,0);
INSERT INTO "vuln_row" VALUES(3,1,X'55B679A526668441E0792B9DBC9A8639',1,NULL,3,'zope-interface','','binary','','',0,1,'fixed=4.0','',NULL,0);
CREATE INDEX advisory_name ON advisory (name);
CREATE INDEX vuln_row_package ON vuln_row (package_name, dist_id, repo_id);
CREATE INDEX vuln_row_added ON vuln_row (updater_id, added);
CREATE INDEX vuln_row_removed ON vuln_row (updater_id, removed) WHERE removed IS NOT NULL;
CREATE INDEX vuln_row_advisory ON vuln_row (advisory_id);
CREATE INDEX vuln_row_section ON vuln_row (updater_id, dist_id, repo_id);
CREATE INDEX vuln_row_hash ON vuln_row (updater_id, hash) WHERE removed IS NOT NULL OR returned;
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
CREATE INDEX manifest_layer_layer ON manifest_layer (layer_id);
CREATE VIEW manifest_index AS
SELECT p.package_id, nullif(p.dist_id, 0) AS dist_id, nullif(p.repo_id, 0) AS repo_id, m.hash AS manifest_hash
FROM manifest_index_row AS i
JOIN place AS p ON p.id = i.place_id
JOIN manifest AS m ON m.id = i.manifest_id;
CREATE INDEX enrichment_row_added ON enrichment_row (updater_id, added);
CREATE INDEX enrichment_row_removed ON enrichment_row (updater_id, removed) WHERE removed IS NOT NULL;
CREATE VIEW enrichment AS
SELECT r.id, o.id AS uo_id, r.hash, r.tags, r.data, r.removed IS NULL AS active, u.name AS updater, r.added, r.removed
FROM enrichment_row AS r
JOIN updater AS u ON u.id = r.updater_id
LEFT JOIN update_operation AS o ON o.updater = u.name AND o.seq = r.added;
CREATE INDEX receipt_next ON receipt (webhook, next_attempt) WHERE next_attempt IS NOT NULL;
COMMIT;
PRAGMA user_version = 10;
PRAGMA application_id = 1330792780;
