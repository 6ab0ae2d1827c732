package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// gcRows is how many rows one step of garbage collection deletes.
const gcRows = 500

// GC deletes all but the newest keep operations of each updater and kind, then
// the rows that no operation and no pin sees, and returns space to the file
// system if much of the file is free. It works in short steps, stops early if
// an import begins, and returns the number of deleted rows.
func (db *DB) GC(ctx context.Context, keep int) (int64, error) {
	if keep < 1 {
		return 0, fmt.Errorf("collect garbage: keep %d operations: must be at least 1", keep)
	}
	if err := db.retire(ctx, keep); err != nil {
		return 0, fmt.Errorf("retire update operations: %w", err)
	}
	var total int64
	for _, c := range []collector{vulnGarbage, enrichmentGarbage} {
		n, err := db.collect(ctx, c)
		total += n
		if err != nil {
			return total, fmt.Errorf("collect garbage: %w", err)
		}
	}
	n, err := db.sweepAdvisories(ctx)
	total += n
	if err == nil && total > 0 {
		err = db.shrink(ctx)
	}
	if err != nil {
		return total, fmt.Errorf("collect garbage: %w", err)
	}
	return total, nil
}

// retire deletes the entries of operations older than the newest keep.
func (db *DB) retire(ctx context.Context, keep int) error {
	return db.Tx(ctx, func(tx *sql.Tx) error {
		const retire = `
			DELETE FROM update_operation
			WHERE id IN (
				SELECT id
				FROM (
					SELECT id, row_number() OVER (PARTITION BY updater, kind ORDER BY seq DESC) AS place
					FROM update_operation
				)
				WHERE place > ?
			)`
		_, err := tx.ExecContext(ctx, retire, keep)
		return err
	})
}

// collector has the SQL for collecting the garbage of one relation.
type collector struct {
	kind clair.Kind
	// find: (updater, after, up to, limit) -> ids and advisories (or 0) of rows
	// of a gap between two operations: added after the first and removed by the
	// second.
	find string
	// unlist removes the rows of a JSON array of ids from the list of open
	// rows, in which an import that never completed may have left them after
	// closing them.
	unlist string
	// drop deletes the rows of a JSON array of ids, and what belongs to them.
	drop []string
	// last deletes, for a JSON array of the rows' second column, advisories
	// without rows.
	last string
}

var vulnGarbage = collector{
	kind: clair.KindVulnerability,
	unlist: `
		DELETE FROM vuln_open
		WHERE (updater_id, hash) IN (
			SELECT updater_id, hash
			FROM vuln_row
			WHERE id IN (SELECT value FROM json_each(?1))
		)
		AND row_id IN (SELECT value FROM json_each(?1))`,
	find: `
		SELECT id, advisory_id
		FROM vuln_row
		WHERE updater_id = ?1 AND removed > ?2 AND removed <= ?3 AND added > ?2
		LIMIT ?4`,
	drop: []string{`DELETE FROM vuln_row WHERE id IN (SELECT value FROM json_each(?))`},
	last: `
		DELETE FROM advisory
		WHERE id IN (SELECT value FROM json_each(?))
		AND NOT EXISTS (SELECT 1 FROM vuln_row WHERE advisory_id = advisory.id)`,
}

var enrichmentGarbage = collector{
	kind: clair.KindEnrichment,
	unlist: `
		DELETE FROM enrichment_open
		WHERE (updater_id, hash) IN (
			SELECT updater_id, hash
			FROM enrichment_row
			WHERE id IN (SELECT value FROM json_each(?1))
		)
		AND row_id IN (SELECT value FROM json_each(?1))`,
	find: `
		SELECT id, 0
		FROM enrichment_row
		WHERE updater_id = ?1 AND removed > ?2 AND removed <= ?3 AND added > ?2
		LIMIT ?4`,
	drop: []string{
		`
			DELETE FROM enrichment_tag
			WHERE row_id IN (SELECT value FROM json_each(?1))
			AND (updater_id, tag) IN (
				SELECT r.updater_id, t.value
				FROM enrichment_row AS r, json_each(r.tags) AS t
				WHERE r.id IN (SELECT value FROM json_each(?1))
			)`,
		`DELETE FROM enrichment_row WHERE id IN (SELECT value FROM json_each(?))`,
	},
}

// collect collects the garbage of one relation, updater by updater.
func (db *DB) collect(ctx context.Context, c collector) (int64, error) {
	updaters, err := sqlitedb.ReadPage(ctx, db.Read, `SELECT id FROM updater ORDER BY id`, sqlitedb.ScanID)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, u := range updaters {
		for more := true; more; {
			var n int64
			if n, more, err = db.collectStep(ctx, c, u); err != nil {
				return total, err
			}
			total += n
		}
	}
	return total, nil
}

// collectStep collects some of an updater's garbage and reports whether there
// may be more.
func (db *DB) collectStep(ctx context.Context, c collector, updater int64) (n int64, more bool, err error) {
	if !db.imports.TryLock() {
		return 0, false, nil // an import is running; the next collection goes on
	}
	defer db.imports.Unlock()
	db.opening.Lock()
	defer db.opening.Unlock()
	held, err := db.heldOperations(ctx, c.kind, updater)
	if err != nil {
		return 0, false, err
	}
	err = db.Tx(ctx, func(tx *sql.Tx) error {
		after := int64(0)
		for _, upTo := range append(held, math.MaxInt64) {
			got, err := c.gap(ctx, tx, updater, after, upTo)
			if n += got; err != nil {
				return err
			}
			if got == gcRows {
				more = true
				return nil
			}
			after = upTo
		}
		return nil
	})
	return n, more, err
}

// heldOperations returns, in order, the operations whose rows must stay: those that are
// listed or pinned.
func (db *DB) heldOperations(ctx context.Context, kind clair.Kind, updater int64) ([]int64, error) {
	const list = `
		SELECT o.seq
		FROM update_operation AS o
		JOIN updater AS u ON u.name = o.updater
		WHERE u.id = ?1 AND o.kind = ?2
		UNION
		SELECT p.seq
		FROM pin AS p
		JOIN updater AS u ON u.name = p.updater
		WHERE u.id = ?1`
	seqs, err := sqlitedb.ReadPage(ctx, db.Read, list, sqlitedb.ScanID, updater, string(kind))
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	for s, until := range db.snapshots {
		if db.now().After(until) {
			delete(db.snapshots, s)
		} else if seq, ok := s.seqs[updater]; ok && s.kind == kind {
			seqs = append(seqs, seq)
		}
	}
	db.mu.Unlock()
	slices.Sort(seqs)
	return slices.Compact(seqs), nil
}

// gap deletes at most gcRows of the rows that lived only between two
// operations.
func (c collector) gap(ctx context.Context, tx *sql.Tx, updater, after, upTo int64) (int64, error) {
	rows, err := tx.QueryContext(ctx, c.find, updater, after, upTo, gcRows)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ids, advisories []int64
	for rows.Next() {
		var id, advisory int64
		if err := rows.Scan(&id, &advisory); err != nil {
			return 0, err
		}
		ids, advisories = append(ids, id), append(advisories, advisory)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return 0, err
	}
	rows.Close()
	drops := c.drop
	if upTo == math.MaxInt64 { // none that is held sees what an incomplete import did
		drops = append([]string{c.unlist}, drops...)
	}
	for _, drop := range drops {
		if _, err := tx.ExecContext(ctx, drop, sqlitedb.JSONList(ids)); err != nil {
			return 0, err
		}
	}
	if c.last != "" {
		if _, err := tx.ExecContext(ctx, c.last, sqlitedb.JSONList(advisories)); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

// sweepAdvisories deletes advisories without rows, which an import that did
// not complete may have left. It runs only after such an import.
func (db *DB) sweepAdvisories(ctx context.Context) (int64, error) {
	if !db.imports.TryLock() {
		return 0, nil
	}
	defer db.imports.Unlock()
	var unfinished bool
	err := db.Read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM updater WHERE unfinished > 0)`).Scan(&unfinished)
	if err != nil || !unfinished {
		return 0, sqlitedb.Classify(err)
	}
	const find = `
		SELECT id
		FROM advisory AS a
		WHERE id > ?
		AND NOT EXISTS (SELECT 1 FROM vuln_row AS r WHERE r.advisory_id = a.id)
		ORDER BY id
		LIMIT ?`
	const drop = `DELETE FROM advisory WHERE id IN (SELECT value FROM json_each(?))`
	const swept = `UPDATE updater SET unfinished = 0 WHERE unfinished > 0`
	var total int64
	for after := int64(0); ; {
		ids, err := sqlitedb.ReadPage(ctx, db.Read, find, sqlitedb.ScanID, after, gcRows)
		if err != nil {
			return total, err
		}
		if len(ids) == 0 {
			return total, db.Exec(ctx, swept)
		}
		if err := db.Exec(ctx, drop, sqlitedb.JSONList(ids)); err != nil {
			return total, err
		}
		total += int64(len(ids))
		after = ids[len(ids)-1]
	}
}

const (
	// shrinkShare is the part of the file that may be free without being
	// returned: the next import soon fills pages again.
	shrinkShare = 0.25
)

// shrink returns free pages to the file system if much of the file is free.
func (db *DB) shrink(ctx context.Context) error {
	var free, all int64
	err := db.Read.QueryRowContext(ctx, `SELECT (SELECT freelist_count FROM pragma_freelist_count),
		(SELECT page_count FROM pragma_page_count)`).Scan(&free, &all)
	if err != nil || float64(free) <= shrinkShare*float64(all) {
		return sqlitedb.Classify(err)
	}
	_, err = db.GiveBack(ctx, int64(shrinkShare*float64(all)))
	return err
}

// Vacuum deletes operations and garbage as GC does, then returns all free
// space of the database and its log to the file system, in short steps that do
// not delay others for long. It returns by how many bytes both have become
// smaller. A second vacuum at the same time is an ErrConflict.
func (db *DB) Vacuum(ctx context.Context, keep int) (int64, error) {
	if !db.vacuuming.TryLock() {
		return 0, fmt.Errorf("vacuum the database: %w: it is being done", clair.ErrConflict)
	}
	defer db.vacuuming.Unlock()
	before, err := db.Stats(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := db.GC(ctx, keep); err != nil {
		return 0, err
	}
	if _, err := db.GiveBack(ctx, 0); err != nil {
		return 0, fmt.Errorf("vacuum the database: %w", err)
	}
	// A reader of an old state keeps part of the log; a later commit truncates
	// it.
	if _, err := db.Write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return 0, fmt.Errorf("vacuum the database: %w", sqlitedb.Classify(err))
	}
	after, err := db.Stats(ctx)
	return max(0, before.File+before.WAL-after.File-after.WAL), err
}
