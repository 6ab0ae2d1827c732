package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"oriel/clair"
)

var enrichmentRelation = relation{
	kind: clair.KindEnrichment,
	known: `SELECT j.key, o.row_id FROM json_each(?) AS j
		CROSS JOIN enrichment_open AS o ON o.updater_id = ?2 AND o.hash = unhex(j.value)`,
	fresh: `SELECT NOT EXISTS (SELECT 1 FROM enrichment_row WHERE updater_id = ?)`,
	own:   `SELECT hash, id FROM enrichment_row WHERE updater_id = ?1 AND added = ?2 AND id > ?3 AND removed IS NULL ORDER BY id LIMIT ?4`,
	orphans: `SELECT r.hash, r.id FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (SELECT 1 FROM enrichment_open AS o WHERE o.updater_id = r.updater_id AND o.hash = r.hash)
		ORDER BY r.id LIMIT ?4`,
	open:       `SELECT hash, row_id FROM enrichment_open WHERE updater_id = ? AND hash > ? ORDER BY hash LIMIT ?`,
	insertOpen: `INSERT INTO enrichment_open (updater_id, hash, row_id) SELECT ?1, unhex(value->>0), value->>1 FROM json_each(?2)`,
	deleteOpen: `DELETE FROM enrichment_open WHERE (updater_id, hash) IN
		(SELECT updater_id, hash FROM enrichment_row WHERE id IN (SELECT value FROM json_each(?)))`,
	closeRow: `UPDATE enrichment_row SET removed = ?1 WHERE id IN (SELECT value FROM json_each(?2))`,
}

// UpdateEnrichments is to enrichments what UpdateVulnerabilities is to
// vulnerabilities: it makes an operation of kind enrichment. A record without
// a tag could never be found and is dropped.
func (db *DB) UpdateEnrichments(ctx context.Context, updater string, fp clair.Fingerprint,
	records iter.Seq2[clair.EnrichmentRecord, error],
) (clair.UpdateResult, error) {
	t, err := newEnrichmentTable(ctx, db)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", updater, err)
	}
	defer t.close()
	h := newHasher()
	return runImport(ctx, db, enrichmentRelation, t, feedState{updater: updater, fingerprint: fp}, func(add func(incoming[enrichmentRow]) error) error {
		for rec, err := range records {
			if err != nil {
				return err
			}
			in, err := hashEnrichment(h, rec)
			if err != nil {
				return err
			}
			if len(in.row.tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

// enrichmentRow is a record with its tags sorted, each once.
type enrichmentRow struct {
	tags []string
	data string
}

func hashEnrichment(h *hasher, rec clair.EnrichmentRecord) (incoming[enrichmentRow], error) {
	if !json.Valid(rec.Enrichment) {
		return incoming[enrichmentRow]{}, fmt.Errorf("enrichment of %.100q: %w", rec.Tags, clair.Invalid("Enrichment", "is not JSON"))
	}
	row := enrichmentRow{tags: slices.Compact(slices.Sorted(slices.Values(rec.Tags))), data: string(rec.Enrichment)}
	h.number(int64(len(row.tags)))
	h.text(row.tags...)
	h.text(row.data)
	return incoming[enrichmentRow]{hash: h.sum(), row: row, size: 200 + len(row.data)}, nil
}

// enrichmentTable writes enrichments.
type enrichmentTable struct{ rows, tags *inserter }

func newEnrichmentTable(ctx context.Context, db *DB) (*enrichmentTable, error) {
	t := &enrichmentTable{}
	var err error
	t.rows, err = newInserter(ctx, db, `INSERT INTO enrichment_row (updater_id, hash, added, tags, data) VALUES `, `(?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	t.tags, err = newInserter(ctx, db, `INSERT INTO enrichment_tag (updater_id, tag, row_id) VALUES `, `(?, ?, ?)`)
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *enrichmentTable) close() {
	for _, in := range []*inserter{t.rows, t.tags} {
		if in != nil {
			in.close()
		}
	}
}

func (t *enrichmentTable) prepare(_ context.Context, rows []incoming[enrichmentRow]) (int, error) {
	size := 0
	for _, in := range rows {
		size += in.size
	}
	return size, nil
}

// compare orders rows by their first tag, so that the index of tags grows
// evenly.
func (t *enrichmentTable) compare(a, b enrichmentRow) int {
	return strings.Compare(a.tags[0], b.tags[0])
}

func (t *enrichmentTable) insert(ctx context.Context, tx *sql.Tx, updater, seq int64, in []incoming[enrichmentRow]) (int64, error) {
	args := make([]any, 0, len(in)*t.rows.columns)
	for i := range in {
		tags, err := json.Marshal(in[i].row.tags)
		if err != nil {
			return 0, err
		}
		args = append(args, updater, in[i].hash[:], seq, string(tags), in[i].row.data)
	}
	last, err := t.rows.insert(ctx, tx, args)
	if err != nil {
		return 0, err
	}
	args = args[:0]
	for i := range in {
		for _, tag := range in[i].row.tags {
			args = append(args, updater, tag, last-int64(len(in)-1-i))
		}
	}
	_, err = t.tags.insert(ctx, tx, args)
	return last, err
}

// GetEnrichment returns the records of one updater's current operation that
// carry any of the tags, in the order of their ids.
func (db *DB) GetEnrichment(ctx context.Context, updater string, tags []string) ([]clair.EnrichmentRecord, error) {
	list, err := json.Marshal(append([]string{}, tags...))
	if err != nil {
		return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
	}
	snap, err := db.snapshot(ctx, clair.KindEnrichment)
	if err != nil {
		return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
	}
	defer snap.Close()
	for id, name := range snap.names {
		if name != updater {
			continue
		}
		recs, err := db.findEnrichments(ctx, id, string(list), snap.seqs[id])
		if err != nil {
			return nil, fmt.Errorf("get enrichments of %s: %w", updater, err)
		}
		return recs, nil
	}
	return nil, nil
}

// findEnrichments reads the records that an operation of an updater sees under
// any of the tags, a JSON array.
func (db *DB) findEnrichments(ctx context.Context, updater int64, tags string, seq int64) ([]clair.EnrichmentRecord, error) {
	const find = `SELECT r.tags, r.data FROM enrichment_row AS r
		WHERE r.id IN (SELECT t.row_id FROM json_each(?2) AS j
			CROSS JOIN enrichment_tag AS t ON t.updater_id = ?1 AND t.tag = j.value)
		AND r.added <= ?3 AND (r.removed IS NULL OR r.removed > ?3) ORDER BY r.id`
	stmt, err := db.prepared(ctx, find)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, updater, tags, seq)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var found []clair.EnrichmentRecord
	for rows.Next() {
		r, err := scanEnrichment(rows)
		if err != nil {
			return nil, classify(err)
		}
		found = append(found, r)
	}
	return found, classify(rows.Err())
}

func scanEnrichment(rows *sql.Rows) (r clair.EnrichmentRecord, err error) {
	var tags, data string
	if err := rows.Scan(&tags, &data); err != nil {
		return r, err
	}
	r.Enrichment = json.RawMessage(data)
	return r, json.Unmarshal([]byte(tags), &r.Tags)
}
