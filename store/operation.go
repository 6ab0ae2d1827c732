package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// scanOperation reads ref, updater, fingerprint, date and kind, then the rest.
func scanOperation(row sqlitedb.Scanner, o *clair.UpdateOperation, rest ...any) error {
	var ref, fp, kind string
	var date sql.NullInt64
	if err := row.Scan(append([]any{&ref, &o.Updater, &fp, &date, &kind}, rest...)...); err != nil {
		return err
	}
	o.Fingerprint, o.Kind, o.Date = clair.Fingerprint(fp), clair.Kind(kind), sqlitedb.FromMillis(date)
	var err error
	o.Ref, err = uuid.Parse(ref)
	return err
}

func scanOneOperation(rows *sql.Rows) (o clair.UpdateOperation, err error) {
	err = scanOperation(rows, &o)
	return o, err
}

// GetUpdateOperations returns the operations by updater, newest first. An
// empty kind means all kinds, and no updaters means all of them. Updaters
// without operations are not in the map.
func (db *DB) GetUpdateOperations(ctx context.Context, kind clair.Kind, updaters ...string) (map[string][]clair.UpdateOperation, error) {
	const list = `
		SELECT ref, updater, fingerprint, date, kind
		FROM update_operation
		WHERE (?1 = '' OR kind = ?1)
		AND (?2 = '[]' OR updater IN (SELECT value FROM json_each(?2)))
		ORDER BY updater, seq DESC`
	return db.operations(ctx, list, kind, updaters)
}

// GetLatestUpdateRefs returns the newest operation of each updater and kind.
func (db *DB) GetLatestUpdateRefs(ctx context.Context, kind clair.Kind) (map[string][]clair.UpdateOperation, error) {
	// Next to max(), SQLite returns the other columns of the row with the
	// maximum.
	const latest = `
		SELECT ref, updater, fingerprint, date, kind
		FROM (
			SELECT ref, updater, fingerprint, date, kind, max(seq) AS seq
			FROM update_operation
			WHERE (?1 = '' OR kind = ?1) AND ?2 = '[]'
			GROUP BY updater, kind
		)
		ORDER BY updater, seq DESC`
	return db.operations(ctx, latest, kind, nil)
}

func (db *DB) operations(ctx context.Context, query string, kind clair.Kind, updaters []string) (map[string][]clair.UpdateOperation, error) {
	names, err := json.Marshal(append([]string{}, updaters...))
	if err != nil {
		return nil, fmt.Errorf("list update operations: %w", err)
	}
	list, err := sqlitedb.ReadPage(ctx, db.Read, query, scanOneOperation, string(kind), string(names))
	if err != nil {
		return nil, fmt.Errorf("list update operations: %w", err)
	}
	out := map[string][]clair.UpdateOperation{}
	for _, o := range list {
		out[o.Updater] = append(out[o.Updater], o)
	}
	return out, nil
}

// GetLatestUpdateRef returns the operation of any updater that completed last,
// or uuid.Nil if there is none.
func (db *DB) GetLatestUpdateRef(ctx context.Context, kind clair.Kind) (uuid.UUID, error) {
	const latest = `
		SELECT ref
		FROM update_operation
		WHERE ?1 = '' OR kind = ?1
		ORDER BY id DESC
		LIMIT 1`
	var ref string
	err := db.Read.QueryRowContext(ctx, latest, string(kind)).Scan(&ref)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("find the latest update operation: %w", sqlitedb.Classify(err))
	}
	return uuid.Parse(ref)
}

// DeleteUpdateOperations deletes operations and returns how many existed. Rows
// that only they saw become garbage; if one was its updater's newest, its
// predecessor becomes current again.
func (db *DB) DeleteUpdateOperations(ctx context.Context, refs ...uuid.UUID) (int64, error) {
	var deleted int64
	err := db.Tx(ctx, func(tx *sql.Tx) error {
		for _, ref := range refs {
			res, err := tx.ExecContext(ctx, `DELETE FROM update_operation WHERE ref = ?`, ref.String())
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("delete update operations: %w", err)
	}
	return deleted, nil
}

// Initialized reports whether there is data for matching: whether any
// vulnerability operation has ever completed, even an empty one.
func (db *DB) Initialized(ctx context.Context) (bool, error) {
	const ever = `SELECT EXISTS (SELECT 1 FROM update_operation WHERE kind = 'vulnerability')
		OR EXISTS (SELECT 1 FROM updater_status WHERE last_success IS NOT NULL AND kind = 'vulnerability')`
	var yes bool
	if err := db.Read.QueryRowContext(ctx, ever).Scan(&yes); err != nil {
		return false, fmt.Errorf("ask whether there is data: %w", sqlitedb.Classify(err))
	}
	return yes, nil
}
