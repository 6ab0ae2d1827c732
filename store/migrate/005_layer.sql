-- Layers and what was found in them; why indexing failed.
ALTER TABLE index_report ADD COLUMN err TEXT NOT NULL DEFAULT '';
ALTER TABLE index_report ADD COLUMN indexer_state TEXT NOT NULL DEFAULT '';
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
    result        BLOB    NOT NULL
) STRICT;
