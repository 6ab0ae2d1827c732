package store

import (
	"cmp"
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
	missing: `SELECT r.hash, r.id FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		WHERE r.updater_id = ?1 AND r.removed > ?2 AND r.added <= ?2
		AND NOT EXISTS (SELECT 1 FROM enrichment_open AS o WHERE o.updater_id = r.updater_id AND o.hash = r.hash)
		LIMIT ?3`,
	again: `INSERT INTO enrichment_row (updater_id, hash, added, tags, data)
		SELECT updater_id, hash, ?, tags, data FROM enrichment_row WHERE id = ? RETURNING id`,
	withTags: `INSERT INTO enrichment_tag (updater_id, tag, row_id)
		SELECT r.updater_id, j.value, r.id FROM enrichment_row AS r CROSS JOIN json_each(r.tags) AS j WHERE r.id = ?`,
	// Rows of one hash have the same tags, by which they are found.
	surplus: `SELECT r.hash, r.id FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (SELECT 1 FROM enrichment_tag AS t CROSS JOIN enrichment_row AS x ON x.id = t.row_id
			WHERE t.updater_id = r.updater_id AND t.tag = r.tags->>0 AND x.hash = r.hash
			AND x.added <= ?2 AND (x.removed IS NULL OR x.removed > ?2))
		ORDER BY r.id LIMIT ?4`,
	named: `SELECT r.hash, r.id FROM json_each(?1) AS j
		CROSS JOIN enrichment_tag AS t ON t.updater_id = ?2 AND t.tag BETWEEN j.value->>0 AND j.value->>1
		CROSS JOIN enrichment_row AS r ON r.id = t.row_id AND r.removed IS NULL`,
	openAll:    `SELECT count(*) FROM enrichment_open WHERE updater_id = ?`,
	open:       `SELECT hash, row_id FROM enrichment_open WHERE updater_id = ? AND hash > ? ORDER BY hash LIMIT ?`,
	insertOpen: `INSERT OR FAIL INTO enrichment_open (updater_id, hash, row_id) VALUES `,
	deleteOpen: `DELETE FROM enrichment_open WHERE updater_id = ?1 AND hash IN (SELECT unhex(value) FROM json_each(?2))`,
	closeRow:   `UPDATE OR FAIL enrichment_row SET removed = ?1 WHERE id IN (SELECT value FROM json_each(?2))`,
	halfClosed: `SELECT o.hash, o.row_id FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		CROSS JOIN enrichment_open AS o ON o.updater_id = r.updater_id AND o.hash = r.hash AND o.row_id = r.id
		WHERE r.updater_id = ?1 AND r.removed > ?2 LIMIT ?3`,
	hashes: `SELECT hash, id FROM enrichment_row WHERE id IN (SELECT value FROM json_each(?))`,
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
	h := &hasher{}
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

// UpdateEnrichmentsDelta is to UpdateEnrichments what
// UpdateVulnerabilitiesDelta is to UpdateVulnerabilities.
func (db *DB) UpdateEnrichmentsDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint,
	changes iter.Seq2[clair.EnrichmentChange, error],
) (clair.UpdateResult, error) {
	t, err := newEnrichmentTable(ctx, db)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", base.Updater, err)
	}
	defer t.close()
	h := &hasher{}
	f := feedState{updater: base.Updater, fingerprint: fp, delta: &delta{base: base.Ref}}
	return runImport(ctx, db, enrichmentRelation, t, f, func(add func(incoming[enrichmentRow]) error) error {
		for c, err := range changes {
			if err != nil {
				return err
			}
			in, err := hashEnrichmentChange(h, c)
			if err != nil {
				return err
			}
			if in.verb == adds && len(in.row.tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

func hashEnrichmentChange(h *hasher, c clair.EnrichmentChange) (incoming[enrichmentRow], error) {
	if c.Added != nil {
		return hashEnrichment(h, *c.Added)
	}
	tags, err := json.Marshal([]string{c.ReplacedFrom, c.ReplacedTo})
	return incoming[enrichmentRow]{verb: replaces, name: string(tags)}, err
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
	t.rows, err = newInserter(ctx, db, `INSERT OR FAIL INTO enrichment_row (updater_id, hash, added, tags, data) VALUES `, `(?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	t.tags, err = newInserter(ctx, db, `INSERT OR FAIL INTO enrichment_tag (updater_id, tag, row_id) VALUES `, `(?, ?, ?)`)
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

func (t *enrichmentTable) prepare([]incoming[enrichmentRow]) {}

func (t *enrichmentTable) share(_ context.Context, rows []incoming[enrichmentRow]) (int, error) {
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
// carry any of the tags, in the order of their ids. What they hold is shared
// with other callers and must not be written to.
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

// view is what an operation of an updater sees. It never changes.
type view struct{ updater, seq int64 }

// currentEnrichments gives the records of a view with any of the tags, each
// once. Those it remembers need no query.
func (db *DB) currentEnrichments(ctx context.Context, v view, tags []string) ([]clair.EnrichmentRecord, error) {
	rows, unknown := db.recall.get(v, tags)
	if len(unknown) > 0 {
		read, err := db.readEnrichments(ctx, v, unknown)
		if err != nil {
			return nil, err
		}
		db.recall.put(v, unknown, read)
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

// taggedEnrichment is a record as found by one of its tags.
type taggedEnrichment struct {
	tag string
	id  int64
	clair.EnrichmentRecord
}

func (db *DB) readEnrichments(ctx context.Context, v view, tags []string) ([]taggedEnrichment, error) {
	const find = `SELECT t.tag, r.id, r.tags, r.data FROM json_each(?2) AS j
		CROSS JOIN enrichment_tag AS t ON t.updater_id = ?1 AND t.tag = j.value
		CROSS JOIN enrichment_row AS r ON r.id = t.row_id AND r.added <= ?3 AND (r.removed IS NULL OR r.removed > ?3)`
	list, err := json.Marshal(tags)
	if err != nil {
		return nil, err
	}
	stmt, err := db.prepared(ctx, find)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, v.updater, string(list), v.seq)
	return scanAll(rows, err, scanEnrichment)
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
