package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

const (
	nextAdded = `
		SELECT min(added)
		FROM vuln_row
		WHERE updater_id = ? AND added > ? AND added <= ?`
	nextRemoved = `
		SELECT min(removed)
		FROM vuln_row
		WHERE updater_id = ? AND removed > ? AND removed <= ?`

	// visibleRows are those visible at hi. lo is not used.
	visibleRows = `
		SELECT ` + narrowColumns + `
		FROM vuln_row AS r
		WHERE r.updater_id = ?1 AND r.added = ?2 AND (r.removed IS NULL OR r.removed > ?4)
		AND r.id > ?5 AND ?3 IS NOT NULL
		ORDER BY r.id
		LIMIT ?6`
	// addedRows are those visible at hi whose hash is not visible at lo.
	// vuln_row_hash has only the rows of hashes that have more than one.
	addedRows = `
		SELECT ` + narrowColumns + `
		FROM vuln_row AS r
		WHERE r.updater_id = ?1 AND r.added = ?2 AND (r.removed IS NULL OR r.removed > ?4)
		AND r.id > ?5
		AND NOT EXISTS (
			SELECT 1
			FROM vuln_row AS x INDEXED BY vuln_row_hash
			WHERE x.updater_id = ?1 AND x.hash = r.hash AND (x.removed IS NOT NULL OR x.returned)
			AND x.added <= ?3 AND (x.removed IS NULL OR x.removed > ?3)
		)
		ORDER BY r.id
		LIMIT ?6`
	// removedRows are those visible at lo whose hash is not visible at hi,
	// which vuln_row_hash finds as for addedRows.
	removedRows = `
		SELECT ` + narrowColumns + `
		FROM vuln_row AS r
		WHERE r.updater_id = ?1 AND r.removed = ?2 AND r.added <= ?3 AND r.id > ?5
		AND NOT EXISTS (
			SELECT 1
			FROM vuln_row AS x INDEXED BY vuln_row_hash
			WHERE x.updater_id = ?1 AND x.hash = r.hash AND (x.removed IS NOT NULL OR x.returned)
			AND x.added <= ?4 AND (x.removed IS NULL OR x.removed > ?4)
		)
		ORDER BY r.id
		LIMIT ?6`
)

func allVisible(updater, seq int64) walk {
	return walk{
		next:    nextAdded,
		page:    visibleRows,
		updater: updater,
		hi:      seq,
	}
}

func addedBetween(updater, lo, hi int64) walk {
	return walk{
		next:    nextAdded,
		page:    addedRows,
		updater: updater,
		from:    lo,
		lo:      lo,
		hi:      hi,
	}
}

func removedBetween(updater, lo, hi int64) walk {
	return walk{
		next:    nextRemoved,
		page:    removedRows,
		updater: updater,
		from:    lo,
		lo:      lo,
		hi:      hi,
	}
}

// operation is a listed operation with its updater and sequence number.
type operation struct {
	clair.UpdateOperation
	seq, updaterID int64
}

// GetUpdateDiff returns the rows of the vulnerability operation cur that prev
// does not have, and the reverse, for any two operations of one updater in
// either order. prev may be uuid.Nil; then all rows of cur are added. The
// caller closes the difference; until then its rows stay, whatever is deleted.
// An unknown operation is an ErrNotFound; operations of two updaters or of
// another kind are an ErrInvalid.
func (db *DB) GetUpdateDiff(ctx context.Context, prev, cur uuid.UUID) (*clair.UpdateDiff, error) {
	db.opening.RLock()
	defer db.opening.RUnlock()
	c, err := db.operation(ctx, "cur", cur)
	if err != nil {
		return nil, err
	}
	d := &clair.UpdateDiff{Cur: c.UpdateOperation}
	names := map[int64]string{c.updaterID: c.Updater}
	if prev == uuid.Nil {
		d.Close = db.holdAt(c.updaterID, c.seq)
		d.Added = db.stream(ctx, allVisible(c.updaterID, c.seq), names)
		d.Removed = func(func(*clair.Vulnerability, error) bool) {}
		return d, nil
	}
	p, err := db.operation(ctx, "prev", prev)
	if err != nil {
		return nil, err
	}
	if p.Updater != c.Updater {
		return nil, clair.Invalid("prev", "is an operation of %s, and cur one of %s", p.Updater, c.Updater)
	}
	d.Prev = p.UpdateOperation
	d.Close = db.holdAt(c.updaterID, p.seq, c.seq)
	d.Added, d.Removed = db.between(ctx, c.updaterID, p.seq, c.seq, names)
	return d, nil
}

// between returns the rows visible at to and not at from, and the reverse.
func (db *DB) between(ctx context.Context, updater, from, to int64, names map[int64]string) (added, removed iter.Seq2[*clair.Vulnerability, error]) {
	lo, hi := min(from, to), max(from, to)
	added = db.stream(ctx, addedBetween(updater, lo, hi), names)
	removed = db.stream(ctx, removedBetween(updater, lo, hi), names)
	if from > to {
		return removed, added
	}
	return added, removed
}

// holdAt pins operations of one updater and returns a function that releases
// them.
func (db *DB) holdAt(updater int64, seqs ...int64) (release func()) {
	var held []*Snapshot
	for _, seq := range seqs {
		s := &Snapshot{
			db:   db,
			kind: clair.KindVulnerability,
			seqs: map[int64]int64{updater: seq},
		}
		db.hold(s)
		held = append(held, s)
	}
	return func() {
		for _, s := range held {
			s.Close()
		}
	}
}

// operation finds a vulnerability operation; field is its name in errors.
func (db *DB) operation(ctx context.Context, field string, ref uuid.UUID) (operation, error) {
	const find = `
		SELECT o.ref, o.updater, o.fingerprint, o.date, o.kind, o.seq, u.id
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		WHERE o.ref = ?`
	var o operation
	err := scanOperation(db.Read.QueryRowContext(ctx, find, ref.String()), &o.UpdateOperation, &o.seq, &o.updaterID)
	if errors.Is(err, sql.ErrNoRows) {
		return o, fmt.Errorf("update operation %s: %w", ref, clair.ErrNotFound)
	}
	if err != nil {
		return o, fmt.Errorf("update operation %s: %w", ref, sqlitedb.Classify(err))
	}
	if o.Kind != clair.KindVulnerability {
		return o, clair.Invalid(field, "is an operation of kind %s; only vulnerability operations can be compared", o.Kind)
	}
	return o, nil
}
