package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// GetEnrichment returns the records of one updater's current operation with
// any of the tags, in the order of their ids. They are shared with other
// callers and must not be modified.
func (db *DB) GetEnrichment(ctx context.Context, updater string, tags []string) ([]clair.EnrichmentRecord, error) {
	snap, err := db.snapshot(ctx, clair.KindEnrichment)
	if err != nil {
		return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
	}
	defer snap.Close()
	for id, name := range snap.names {
		if name != updater {
			continue
		}
		recs, err := db.currentEnrichments(ctx, view{updater: id, seq: snap.seqs[id]}, tags)
		if err != nil {
			return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
		}
		return recs, nil
	}
	return nil, nil
}

// view is the set of rows that an operation of an updater sees. It never
// changes.
type view struct{ updater, seq int64 }

// currentEnrichments returns the records of a view with any of the tags, each
// once. Cached ones need no query.
func (db *DB) currentEnrichments(ctx context.Context, v view, tags []string) ([]clair.EnrichmentRecord, error) {
	rows, unknown := db.enrichments.get(v, tags)
	if len(unknown) > 0 {
		read, err := db.readEnrichments(ctx, v, unknown)
		if err != nil {
			return nil, err
		}
		db.enrichments.put(v, unknown, read)
		rows = append(rows, read...)
	}
	slices.SortFunc(rows, func(a, b taggedEnrichment) int { return cmp.Compare(a.id, b.id) })
	var found []clair.EnrichmentRecord
	for i, r := range rows {
		if i == 0 || r.id != rows[i-1].id {
			found = append(found, r.EnrichmentRecord)
		}
	}
	return found, nil
}

// taggedEnrichment is a record with the tag by which it was found.
type taggedEnrichment struct {
	tag string
	id  int64
	clair.EnrichmentRecord
}

func (db *DB) readEnrichments(ctx context.Context, v view, tags []string) ([]taggedEnrichment, error) {
	const find = `
		SELECT t.tag, r.id, r.tags, r.data
		FROM json_each(?2) AS j
		CROSS JOIN enrichment_tag AS t ON t.updater_id = ?1 AND t.tag = j.value
		CROSS JOIN enrichment_row AS r ON r.id = t.row_id
			AND r.added <= ?3 AND (r.removed IS NULL OR r.removed > ?3)`
	list, err := json.Marshal(tags)
	if err != nil {
		return nil, err
	}
	stmt, err := db.Prepared(ctx, find)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, v.updater, string(list), v.seq)
	return sqlitedb.ScanAll(rows, err, scanEnrichment)
}

func scanEnrichment(rows *sql.Rows) (r taggedEnrichment, err error) {
	var tags sql.RawBytes
	var data []byte
	if err := rows.Scan(&r.tag, &r.id, &tags, &data); err != nil {
		return r, err
	}
	r.Enrichment = data
	if len(tags) == len(r.tag)+len(`[""]`) {
		r.Tags = []string{r.tag} // the one that it was found by, as almost always
		return r, nil
	}
	return r, json.Unmarshal(tags, &r.Tags)
}
