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
	"oriel/store/history"
	"oriel/store/sqlitedb"
)

var enrichmentRelation = history.Relation{
	Kind: clair.KindEnrichment,
	Known: `SELECT j.key, o.row_id FROM json_each(?) AS j
		CROSS JOIN enrichment_open AS o ON o.updater_id = ?2 AND o.hash = unhex(j.value)`,
	Fresh: `SELECT NOT EXISTS (SELECT 1 FROM enrichment_row WHERE updater_id = ?)`,
	Own:   `SELECT hash, id FROM enrichment_row WHERE updater_id = ?1 AND added = ?2 AND id > ?3 AND removed IS NULL ORDER BY id LIMIT ?4`,
	Orphans: `SELECT r.hash, r.id FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (SELECT 1 FROM enrichment_open AS o WHERE o.updater_id = r.updater_id AND o.hash = r.hash)
		ORDER BY r.id LIMIT ?4`,
	Missing: `SELECT r.hash, r.id FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		WHERE r.updater_id = ?1 AND r.removed > ?2 AND r.added <= ?2
		AND NOT EXISTS (SELECT 1 FROM enrichment_open AS o WHERE o.updater_id = r.updater_id AND o.hash = r.hash)
		LIMIT ?3`,
	Again: `INSERT INTO enrichment_row (updater_id, hash, added, tags, data)
		SELECT updater_id, hash, ?, tags, data FROM enrichment_row WHERE id = ? RETURNING id`,
	WithTags: `INSERT INTO enrichment_tag (updater_id, tag, row_id)
		SELECT r.updater_id, j.value, r.id FROM enrichment_row AS r CROSS JOIN json_each(r.tags) AS j WHERE r.id = ?`,
	// Rows with the same hash have the same tags, by which they are found.
	Surplus: `SELECT r.hash, r.id FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (SELECT 1 FROM enrichment_tag AS t CROSS JOIN enrichment_row AS x ON x.id = t.row_id
			WHERE t.updater_id = r.updater_id AND t.tag = r.tags->>0 AND x.hash = r.hash
			AND x.added <= ?2 AND (x.removed IS NULL OR x.removed > ?2))
		ORDER BY r.id LIMIT ?4`,
	Named: `SELECT r.hash, r.id FROM json_each(?1) AS j
		CROSS JOIN enrichment_tag AS t ON t.updater_id = ?2 AND t.tag BETWEEN j.value->>0 AND j.value->>1
		CROSS JOIN enrichment_row AS r ON r.id = t.row_id AND r.removed IS NULL`,
	OpenAll:    `SELECT count(*) FROM enrichment_open WHERE updater_id = ?`,
	Open:       `SELECT hash, row_id FROM enrichment_open WHERE updater_id = ? AND hash > ? ORDER BY hash LIMIT ?`,
	InsertOpen: `INSERT OR FAIL INTO enrichment_open (updater_id, hash, row_id) VALUES `,
	DeleteOpen: `DELETE FROM enrichment_open WHERE updater_id = ?1 AND hash IN (SELECT unhex(value) FROM json_each(?2))`,
	CloseRow:   `UPDATE OR FAIL enrichment_row SET removed = ?1 WHERE id IN (SELECT value FROM json_each(?2))`,
	HalfClosed: `SELECT o.hash, o.row_id FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		CROSS JOIN enrichment_open AS o ON o.updater_id = r.updater_id AND o.hash = r.hash AND o.row_id = r.id
		WHERE r.updater_id = ?1 AND r.removed > ?2 LIMIT ?3`,
	Hashes: `SELECT hash, id FROM enrichment_row WHERE id IN (SELECT value FROM json_each(?))`,
}

// UpdateEnrichments does for enrichments what UpdateVulnerabilities does for
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
	h := &history.Hasher{}
	return history.Import(ctx, db.engine(), enrichmentRelation, t, history.State{Updater: updater, Fingerprint: fp}, func(add func(history.Row[enrichmentRow]) error) error {
		for rec, err := range records {
			if err != nil {
				return err
			}
			in, err := hashEnrichment(h, rec)
			if err != nil {
				return err
			}
			if len(in.Row.tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateEnrichmentsDelta does for enrichments what UpdateVulnerabilitiesDelta
// does for vulnerabilities.
func (db *DB) UpdateEnrichmentsDelta(ctx context.Context, base clair.UpdateOperation, fp clair.Fingerprint,
	changes iter.Seq2[clair.EnrichmentChange, error],
) (clair.UpdateResult, error) {
	t, err := newEnrichmentTable(ctx, db)
	if err != nil {
		return clair.UpdateResult{}, fmt.Errorf("update %s: %w", base.Updater, err)
	}
	defer t.close()
	h := &history.Hasher{}
	f := history.State{Updater: base.Updater, Fingerprint: fp, Delta: &history.Delta{Base: base.Ref}}
	return history.Import(ctx, db.engine(), enrichmentRelation, t, f, func(add func(history.Row[enrichmentRow]) error) error {
		for c, err := range changes {
			if err != nil {
				return err
			}
			in, err := hashEnrichmentChange(h, c)
			if err != nil {
				return err
			}
			if in.Verb == history.Adds && len(in.Row.tags) == 0 {
				continue
			}
			if err := add(in); err != nil {
				return err
			}
		}
		return nil
	})
}

func hashEnrichmentChange(h *history.Hasher, c clair.EnrichmentChange) (history.Row[enrichmentRow], error) {
	if c.Added != nil {
		return hashEnrichment(h, *c.Added)
	}
	tags, err := json.Marshal([]string{c.ReplacedFrom, c.ReplacedTo})
	return history.Row[enrichmentRow]{Verb: history.Replaces, Name: string(tags)}, err
}

// enrichmentRow is a record with its tags sorted and without duplicates.
type enrichmentRow struct {
	tags []string
	data string
}

func hashEnrichment(h *history.Hasher, rec clair.EnrichmentRecord) (history.Row[enrichmentRow], error) {
	if !json.Valid(rec.Enrichment) {
		return history.Row[enrichmentRow]{}, fmt.Errorf("enrichment of %.100q: %w", rec.Tags, clair.Invalid("Enrichment", "is not JSON"))
	}
	row := enrichmentRow{tags: slices.Compact(slices.Sorted(slices.Values(rec.Tags))), data: string(rec.Enrichment)}
	h.Number(int64(len(row.tags)))
	h.Text(row.tags...)
	h.Text(row.data)
	return history.Row[enrichmentRow]{Hash: h.Sum(), Row: row, Size: 200 + len(row.data)}, nil
}

// enrichmentTable writes enrichments.
type enrichmentTable struct{ rows, tags *sqlitedb.Inserter }

func newEnrichmentTable(ctx context.Context, db *DB) (*enrichmentTable, error) {
	t := &enrichmentTable{}
	var err error
	t.rows, err = sqlitedb.NewInserter(ctx, db.DB, `INSERT OR FAIL INTO enrichment_row (updater_id, hash, added, tags, data) VALUES `, `(?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	t.tags, err = sqlitedb.NewInserter(ctx, db.DB, `INSERT OR FAIL INTO enrichment_tag (updater_id, tag, row_id) VALUES `, `(?, ?, ?)`)
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *enrichmentTable) close() {
	for _, in := range []*sqlitedb.Inserter{t.rows, t.tags} {
		if in != nil {
			in.Close()
		}
	}
}

func (t *enrichmentTable) Prepare([]history.Row[enrichmentRow]) {}

func (t *enrichmentTable) Share(_ context.Context, rows []history.Row[enrichmentRow]) (int, error) {
	size := 0
	for _, in := range rows {
		size += in.Size
	}
	return size, nil
}

// compare orders rows by their first tag, so that the index of tags grows
// evenly.
func (t *enrichmentTable) Compare(a, b enrichmentRow) int {
	return strings.Compare(a.tags[0], b.tags[0])
}

func (t *enrichmentTable) Insert(ctx context.Context, tx *sql.Tx, updater, seq int64, in []history.Row[enrichmentRow]) (int64, error) {
	args := make([]any, 0, len(in)*t.rows.Columns)
	for i := range in {
		tags, err := json.Marshal(in[i].Row.tags)
		if err != nil {
			return 0, err
		}
		args = append(args, updater, in[i].Hash[:], seq, string(tags), in[i].Row.data)
	}
	last, err := t.rows.Insert(ctx, tx, args)
	if err != nil {
		return 0, err
	}
	args = args[:0]
	for i := range in {
		for _, tag := range in[i].Row.tags {
			args = append(args, updater, tag, last-int64(len(in)-1-i))
		}
	}
	_, err = t.tags.Insert(ctx, tx, args)
	return last, err
}

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

// taggedEnrichment is a record with the tag by which it was found.
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
