package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"oriel/clair"
	"oriel/store/intern"
	"oriel/store/sqlitedb"
)

// FinishedReport returns the report of a manifest that the readers of a state
// finished, or an ErrNotFound.
func (db *DB) FinishedReport(ctx context.Context, hash clair.Digest, state string) (*clair.IndexReport, error) {
	const made = `SELECT EXISTS (SELECT 1 FROM index_report WHERE manifest_id = (SELECT id FROM manifest WHERE hash = ?)
		AND state = ? AND indexer_state = ?)`
	var is bool
	if err := db.Read.QueryRowContext(ctx, made, string(hash), clair.StateIndexFinished, state).Scan(&is); err != nil {
		return nil, fmt.Errorf("finished report of %s: %w", hash, sqlitedb.Classify(err))
	}
	if !is {
		return nil, fmt.Errorf("finished report of %s: %w", hash, clair.ErrNotFound)
	}
	return db.IndexReport(ctx, hash)
}

// PutManifest stores the layers of a manifest.
func (db *DB) PutManifest(ctx context.Context, m *clair.Manifest) error {
	id, err := db.manifestID(ctx, m.Hash)
	if err != nil {
		return fmt.Errorf("put manifest %s: %w", m.Hash, err)
	}
	err = db.InSlices(ctx, len(m.Layers), func(tx *sql.Tx, i int) error {
		layer, err := internLayer(ctx, tx, m.Layers[i].Hash)
		if err != nil {
			return err
		}
		const insert = `INSERT OR IGNORE INTO manifest_layer (manifest_id, layer_id) VALUES (?, ?)`
		_, err = tx.ExecContext(ctx, insert, id, layer)
		return err
	})
	if err != nil {
		return fmt.Errorf("put manifest %s: %w", m.Hash, err)
	}
	return nil
}

// manifestID returns the id of a manifest. If it is new, it is stored with an
// empty report.
func (db *DB) manifestID(ctx context.Context, hash clair.Digest) (id int64, err error) {
	err = db.Tx(ctx, func(tx *sql.Tx) error {
		id, err = intern.FindOrInsert(ctx, tx, `SELECT id FROM manifest WHERE hash = ?`,
			`INSERT INTO manifest (hash) VALUES (?) RETURNING id`, string(hash))
		if err != nil {
			return err
		}
		var known bool
		const has = `SELECT EXISTS (SELECT 1 FROM index_report WHERE manifest_id = ?)`
		if err := tx.QueryRowContext(ctx, has, id).Scan(&known); err != nil || known {
			return err
		}
		return db.writeEmptyReport(ctx, tx, id, hash)
	})
	return id, err
}

func internLayer(ctx context.Context, tx *sql.Tx, hash clair.Digest) (int64, error) {
	return intern.FindOrInsert(ctx, tx, `SELECT id FROM layer WHERE hash = ?`, `INSERT INTO layer (hash) VALUES (?) RETURNING id`, string(hash))
}

// LayerResult returns the result of a layer by the readers of a state, or an
// ErrNotFound.
func (db *DB) LayerResult(ctx context.Context, layer clair.Digest, state string) ([]byte, error) {
	const read = `
		SELECT r.result
		FROM layer AS l
		JOIN layer_result AS r ON r.layer_id = l.id
		WHERE l.hash = ? AND r.indexer_state = ?`
	var packed []byte
	err := db.Read.QueryRowContext(ctx, read, string(layer), state).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("result of layer %s: %w", layer, clair.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("result of layer %s: %w", layer, sqlitedb.Classify(err))
	}
	return db.zip.UnpackBytes(packed)
}

// PutLayerResult stores the result of a layer by the readers of a state,
// replacing that of other readers.
func (db *DB) PutLayerResult(ctx context.Context, layer clair.Digest, state string, result []byte) error {
	err := db.Tx(ctx, func(tx *sql.Tx) error {
		id, err := internLayer(ctx, tx, layer)
		if err != nil {
			return err
		}
		const put = `
			INSERT INTO layer_result (layer_id, indexer_state, result)
			VALUES (?, ?, ?)
			ON CONFLICT (layer_id) DO UPDATE SET indexer_state = excluded.indexer_state, result = excluded.result`
		_, err = tx.ExecContext(ctx, put, id, state, db.zip.PackBytes(result))
		return err
	})
	if err != nil {
		return fmt.Errorf("put result of layer %s: %w", layer, err)
	}
	return nil
}

// PutReport stores a manifest's report in its state, made by the readers of a
// state. A finished report is indexed by its packages; until then the index,
// and the report that describes it, stay as they are.
func (db *DB) PutReport(ctx context.Context, r *clair.IndexReport, state string) error {
	if r.State == clair.StateIndexFinished {
		if _, err := db.PutIndexReport(ctx, r); err != nil {
			return err
		}
		const made = `
			UPDATE index_report
			SET indexer_state = ?
			WHERE manifest_id = (SELECT id FROM manifest WHERE hash = ?)
			AND state = ?`
		if err := db.Exec(ctx, made, state, string(r.Hash), r.State); err != nil {
			return fmt.Errorf("put report of %s: %w", r.Hash, err)
		}
		return nil
	}
	id, err := db.manifestID(ctx, r.Hash)
	if err == nil {
		const enter = `
			UPDATE index_report
			SET state = ?, err = ?, indexer_state = '', date = ?
			WHERE manifest_id = ?`
		err = db.Exec(ctx, enter, r.State, r.Err, db.now().UnixMilli(), id)
	}
	if err != nil {
		return fmt.Errorf("put report of %s: %w", r.Hash, err)
	}
	return nil
}

// dropManifest deletes a manifest, and the layers that no other one has.
func (db *DB) dropManifest(ctx context.Context, manifest int64) error {
	layers, err := sqlitedb.ReadPage(ctx, db.Read, `SELECT layer_id FROM manifest_layer WHERE manifest_id = ?`, sqlitedb.ScanID, manifest)
	if err != nil {
		return err
	}
	return db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM manifest WHERE id = ?`, manifest); err != nil {
			return err
		}
		const drop = `
			DELETE FROM layer
			WHERE id IN (SELECT value FROM json_each(?))
			AND NOT EXISTS (SELECT 1 FROM manifest_layer AS m WHERE m.layer_id = layer.id)`
		_, err := tx.ExecContext(ctx, drop, sqlitedb.JSONList(layers))
		return err
	})
}
