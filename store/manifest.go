package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"oriel/clair"
	"oriel/store/contents"
	"oriel/store/intern"
	"oriel/store/sqlitedb"
)

// PutIndexReport stores a finished index report and indexes the manifest's
// packages, replacing the previous ones. created reports whether the manifest
// is new. If it fails half way, the report is not finished and can be put
// again.
//
// The index is written in short transactions, so the manifest passes through
// the state IndexManifest, in which its index is not complete.
func (db *DB) PutIndexReport(ctx context.Context, r *clair.IndexReport) (created bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("put index report %s: %w", r.Hash, err)
		}
	}()
	if err := db.writeManifests(ctx); err != nil {
		return false, err
	}
	defer db.manifestsWritten()
	body, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	id, old, created, err := db.beginManifest(ctx, r.Hash)
	if err != nil {
		return false, err
	}
	before, err := contents.Intern(ctx, db.DB, contents.PlacesOf(old))
	if err != nil {
		return false, err
	}
	after, err := contents.Intern(ctx, db.DB, contents.PlacesOf(r))
	if err != nil {
		return false, err
	}
	// Whenever the process dies, the index has no package that the stored
	// report does not name.
	if err := contents.Remove(ctx, db.DB, id, contents.Subtract(before, after)); err != nil {
		return false, err
	}
	if err := db.putReport(ctx, id, clair.StateIndexManifest, body); err != nil {
		return false, err
	}
	if old != nil && old.State != clair.StateIndexFinished {
		before = nil // a put or a delete broke off: part of it may be missing
	}
	if err := contents.Add(ctx, db.DB, id, contents.Subtract(after, before)); err != nil {
		return false, err
	}
	return created, db.setState(ctx, id, r.State)
}

func (db *DB) putReport(ctx context.Context, manifest int64, state string, body []byte) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		const put = `
			UPDATE index_report
			SET state = ?, report = ?, date = ?, err = '', indexer_state = ''
			WHERE manifest_id = ?`
		_, err := tx.ExecContext(ctx, put, state, db.zip.PackBytes(body), db.now().UnixMilli(), manifest)
		return err
	})
}

func (db *DB) setState(ctx context.Context, manifest int64, state string) error {
	return db.Exec(ctx, `UPDATE index_report SET state = ? WHERE manifest_id = ?`, state, manifest)
}

// writeManifests waits until the caller is the only one to write manifests;
// manifestsWritten lets the next one continue.
func (db *DB) writeManifests(ctx context.Context) error {
	select {
	case db.manifests <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (db *DB) manifestsWritten() { <-db.manifests }

// beginManifest marks a manifest as being indexed and returns the report that
// describes its index, if there is one.
func (db *DB) beginManifest(ctx context.Context, hash clair.Digest) (id int64, old *clair.IndexReport, created bool, err error) {
	err = db.Tx(ctx, func(tx *sql.Tx) error {
		id, err = intern.FindOrInsert(ctx, tx, `SELECT id FROM manifest WHERE hash = ?`,
			`INSERT INTO manifest (hash) VALUES (?) RETURNING id`, string(hash))
		if err != nil {
			return err
		}
		old, err = db.reportOf(ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			created = true
			return db.writeEmptyReport(ctx, tx, id, hash)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE index_report SET state = ? WHERE manifest_id = ?`, clair.StateIndexManifest, id)
		return err
	})
	return id, old, created, err
}

// writeEmptyReport stores an empty report for a manifest whose first report is
// being written.
func (db *DB) writeEmptyReport(ctx context.Context, tx *sql.Tx, id int64, hash clair.Digest) error {
	empty := clair.IndexReport{
		Hash:          hash,
		State:         clair.StateIndexManifest,
		Packages:      map[string]*clair.Package{},
		Distributions: map[string]*clair.Distribution{},
		Repositories:  map[string]*clair.Repository{},
		Environments:  map[string][]clair.Environment{},
	}
	body, err := json.Marshal(empty)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO index_report (manifest_id, state, report, date)
		VALUES (?, ?, ?, ?)`,
		id, empty.State, db.zip.PackBytes(body), db.now().UnixMilli())
	return err
}

// reportOf reads the report of a manifest; the error is sql.ErrNoRows if there
// is none.
func (db *DB) reportOf(ctx context.Context, q sqlitedb.Querier, manifest int64) (*clair.IndexReport, error) {
	var state, failure string
	var packed []byte
	err := q.QueryRowContext(ctx, `SELECT state, err, report FROM index_report WHERE manifest_id = ?`, manifest).Scan(&state, &failure, &packed)
	if err != nil {
		return nil, err
	}
	return db.decodeReport(state, failure, packed)
}

func (db *DB) decodeReport(state, failure string, packed []byte) (*clair.IndexReport, error) {
	body, err := db.zip.UnpackBytes(packed)
	if err != nil {
		return nil, err
	}
	r := &clair.IndexReport{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("decode a stored index report: %w", err)
	}
	r.State, r.Err = state, failure
	r.Success = r.Success && state == clair.StateIndexFinished
	return r, nil
}

// IndexReport reads the report of a manifest in its current state. An unknown
// manifest is an ErrNotFound.
func (db *DB) IndexReport(ctx context.Context, hash clair.Digest) (*clair.IndexReport, error) {
	const read = `
		SELECT state, err, report
		FROM index_report
		WHERE manifest_id = (SELECT id FROM manifest WHERE hash = ?)`
	var state, failure string
	var packed []byte
	err := db.Read.QueryRowContext(ctx, read, string(hash)).Scan(&state, &failure, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("index report %s: %w", hash, clair.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("index report %s: %w", hash, sqlitedb.Classify(err))
	}
	r, err := db.decodeReport(state, failure, packed)
	if err != nil {
		return nil, fmt.Errorf("index report %s: %w", hash, err)
	}
	return r, nil
}

// DeleteManifests deletes manifests with their reports and whatever no other
// manifest uses, and returns those that there were.
func (db *DB) DeleteManifests(ctx context.Context, hashes ...clair.Digest) ([]clair.Digest, error) {
	deleted := []clair.Digest{}
	if err := db.writeManifests(ctx); err != nil {
		return deleted, fmt.Errorf("delete manifests: %w", err)
	}
	defer db.manifestsWritten()
	for _, hash := range hashes {
		ok, err := db.deleteManifest(ctx, hash)
		if err != nil {
			return deleted, fmt.Errorf("delete manifest %s: %w", hash, err)
		}
		if ok {
			deleted = append(deleted, hash)
		}
	}
	return deleted, nil
}

func (db *DB) deleteManifest(ctx context.Context, hash clair.Digest) (bool, error) {
	var id int64
	err := db.Read.QueryRowContext(ctx, `SELECT id FROM manifest WHERE hash = ?`, string(hash)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, sqlitedb.Classify(err)
	}
	_, old, _, err := db.beginManifest(ctx, hash)
	if err != nil {
		return false, err
	}
	places, err := contents.Intern(ctx, db.DB, contents.PlacesOf(old))
	if err != nil {
		return false, err
	}
	if err := contents.Remove(ctx, db.DB, id, contents.Subtract(places, nil)); err != nil {
		return false, err
	}
	return true, db.dropManifest(ctx, id)
}
