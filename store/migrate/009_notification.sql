-- Notifications: sets, their rows and vulnerabilities, and receipts. What
-- there is already counts as told.
CREATE TABLE notification (
    id       INTEGER PRIMARY KEY,
    ref      TEXT    NOT NULL UNIQUE,
    uo_ref   TEXT    NOT NULL UNIQUE,
    updater  TEXT    NOT NULL,
    date     INTEGER NOT NULL,
    rows     INTEGER NOT NULL DEFAULT 0,
    complete INTEGER NOT NULL DEFAULT 0,
    deleted  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE notification_body (
    notification_id INTEGER NOT NULL,
    view            TEXT    NOT NULL,
    n               INTEGER NOT NULL,
    manifests       TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    package_version TEXT    NOT NULL,
    vuln_id         INTEGER NOT NULL,
    previous_id     INTEGER,
    PRIMARY KEY (notification_id, view, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE notification_vuln (
    notification_id INTEGER NOT NULL,
    vuln_id         INTEGER NOT NULL,
    vuln            BLOB    NOT NULL,
    PRIMARY KEY (notification_id, vuln_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipt (
    notification_id INTEGER NOT NULL REFERENCES notification (id) ON DELETE CASCADE,
    webhook         TEXT    NOT NULL,
    view            TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    rows            INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    under_way       INTEGER NOT NULL DEFAULT 0,
    since           INTEGER NOT NULL,
    last_attempt    INTEGER,
    next_attempt    INTEGER,
    error           TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (notification_id, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_next ON receipt (webhook, next_attempt) WHERE next_attempt IS NOT NULL;
INSERT INTO pin (owner, updater, seq)
SELECT 'notifier', updater, max(seq) FROM update_operation WHERE kind = 'vulnerability' GROUP BY updater;
