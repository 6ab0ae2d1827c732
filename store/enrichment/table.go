package enrichment

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/store/history"
	"oriel/store/sqlitedb"
)

// Relation is the SQL of enrichment_row and enrichment_open. Nothing writes to
// it.
var Relation = history.Relation{
	Kind: clair.KindEnrichment,
	Known: `
		SELECT j.key, o.row_id
		FROM json_each(?) AS j
		CROSS JOIN enrichment_open AS o ON o.updater_id = ?2 AND o.hash = unhex(j.value)`,
	Fresh: `SELECT NOT EXISTS (SELECT 1 FROM enrichment_row WHERE updater_id = ?)`,
	Own: `
		SELECT hash, id
		FROM enrichment_row
		WHERE updater_id = ?1 AND added = ?2 AND id > ?3 AND removed IS NULL
		ORDER BY id
		LIMIT ?4`,
	Orphans: `
		SELECT r.hash, r.id
		FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (
			SELECT 1
			FROM enrichment_open AS o
			WHERE o.updater_id = r.updater_id AND o.hash = r.hash
		)
		ORDER BY r.id
		LIMIT ?4`,
	// Few rows are closed, most of those of an updater are not.
	Missing: `
		SELECT r.hash, r.id
		FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		WHERE r.updater_id = ?1 AND r.removed > ?2 AND r.added <= ?2
		AND NOT EXISTS (
			SELECT 1
			FROM enrichment_open AS o
			WHERE o.updater_id = r.updater_id AND o.hash = r.hash
		)
		LIMIT ?3`,
	Again: `
		INSERT INTO enrichment_row (updater_id, hash, added, tags, data)
		SELECT updater_id, hash, ?, tags, data
		FROM enrichment_row
		WHERE id = ?
		RETURNING id`,
	WithTags: `
		INSERT INTO enrichment_tag (updater_id, tag, row_id)
		SELECT r.updater_id, j.value, r.id
		FROM enrichment_row AS r
		CROSS JOIN json_each(r.tags) AS j
		WHERE r.id = ?`,
	// Rows with the same hash have the same tags, by which they are found.
	Surplus: `
		SELECT r.hash, r.id
		FROM enrichment_row AS r
		WHERE r.updater_id = ?1 AND r.added > ?2 AND r.id > ?3 AND r.removed IS NULL
		AND NOT EXISTS (
			SELECT 1
			FROM enrichment_tag AS t
			CROSS JOIN enrichment_row AS x ON x.id = t.row_id
			WHERE t.updater_id = r.updater_id AND t.tag = r.tags->>0 AND x.hash = r.hash
			AND x.added <= ?2 AND (x.removed IS NULL OR x.removed > ?2)
		)
		ORDER BY r.id
		LIMIT ?4`,
	Named: `
		SELECT r.hash, r.id
		FROM json_each(?1) AS j
		CROSS JOIN enrichment_tag AS t ON t.updater_id = ?2 AND t.tag BETWEEN j.value->>0 AND j.value->>1
		CROSS JOIN enrichment_row AS r ON r.id = t.row_id AND r.removed IS NULL`,
	OpenAll: `SELECT count(*) FROM enrichment_open WHERE updater_id = ?`,
	Open: `
		SELECT hash, row_id
		FROM enrichment_open
		WHERE updater_id = ? AND hash > ?
		ORDER BY hash
		LIMIT ?`,
	InsertOpen: `INSERT OR FAIL INTO enrichment_open (updater_id, hash, row_id) VALUES `,
	DeleteOpen: `
		DELETE FROM enrichment_open
		WHERE updater_id = ?1
		AND hash IN (SELECT unhex(value) FROM json_each(?2))`,
	CloseRow: `
		UPDATE OR FAIL enrichment_row
		SET removed = ?1
		WHERE id IN (SELECT value FROM json_each(?2))`,
	// Few rows are closed.
	HalfClosed: `
		SELECT o.hash, o.row_id
		FROM enrichment_row AS r INDEXED BY enrichment_row_removed
		CROSS JOIN enrichment_open AS o ON o.updater_id = r.updater_id
			AND o.hash = r.hash AND o.row_id = r.id
		WHERE r.updater_id = ?1 AND r.removed > ?2
		LIMIT ?3`,
	Hashes: `
		SELECT hash, id
		FROM enrichment_row
		WHERE id IN (SELECT value FROM json_each(?))`,
}

// HashChange returns the incoming row of a change, and false if it adds a
// record without a tag.
func HashChange(h *history.Hasher, c clair.EnrichmentChange) (history.Row[Row], bool, error) {
	if c.Added != nil {
		return Hash(h, *c.Added)
	}
	tags, err := json.Marshal([]string{c.ReplacedFrom, c.ReplacedTo})
	return history.Row[Row]{Verb: history.Replaces, Name: string(tags)}, true, err
}

// Row is a record with its tags sorted and without duplicates.
type Row struct {
	Tags []string
	data string
}

// Hash returns the incoming row of a record, and false if it has no tag. The
// error is an ErrInvalid if the record is not JSON.
func Hash(h *history.Hasher, rec clair.EnrichmentRecord) (history.Row[Row], bool, error) {
	if !json.Valid(rec.Enrichment) {
		return history.Row[Row]{}, false, fmt.Errorf("enrichment of %.100q: %w", rec.Tags, clair.Invalid("Enrichment", "is not JSON"))
	}
	row := Row{Tags: slices.Compact(slices.Sorted(slices.Values(rec.Tags))), data: string(rec.Enrichment)}
	h.Number(int64(len(row.Tags)))
	h.Text(row.Tags...)
	h.Text(row.data)
	return history.Row[Row]{
		Hash: h.Sum(),
		Row:  row,
		Size: 200 + len(row.data),
	}, len(row.Tags) > 0, nil
}

// Table writes enrichments.
type Table struct{ rows, tags *sqlitedb.Inserter }

// New prepares the statements of a table. The caller closes it.
func New(ctx context.Context, db *sqlitedb.DB) (*Table, error) {
	t := &Table{}
	var err error
	t.rows, err = sqlitedb.NewInserter(ctx, db, `INSERT OR FAIL INTO enrichment_row (updater_id, hash, added, tags, data) VALUES `, `(?, ?, ?, ?, ?)`)
	if err != nil {
		return nil, err
	}
	t.tags, err = sqlitedb.NewInserter(ctx, db, `INSERT OR FAIL INTO enrichment_tag (updater_id, tag, row_id) VALUES `, `(?, ?, ?)`)
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close ends the statements.
func (t *Table) Close() {
	for _, in := range []*sqlitedb.Inserter{t.rows, t.tags} {
		if in != nil {
			in.Close()
		}
	}
}

// Prepare has nothing to do.
func (t *Table) Prepare([]history.Row[Row]) {}

// Share returns the sizes of rows, which share nothing.
func (t *Table) Share(_ context.Context, rows []history.Row[Row]) (int, error) {
	size := 0
	for _, in := range rows {
		size += in.Size
	}
	return size, nil
}

// Compare orders rows by their first tag, so that the index of tags grows
// evenly.
func (t *Table) Compare(a, b Row) int {
	return strings.Compare(a.Tags[0], b.Tags[0])
}

// Insert writes some rows and their tags.
func (t *Table) Insert(ctx context.Context, tx *sql.Tx, updater, seq int64, in []history.Row[Row]) (int64, error) {
	args := make([]any, 0, len(in)*t.rows.Columns)
	for i := range in {
		tags, err := json.Marshal(in[i].Row.Tags)
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
		for _, tag := range in[i].Row.Tags {
			args = append(args, updater, tag, last-int64(len(in)-1-i))
		}
	}
	_, err = t.tags.Insert(ctx, tx, args)
	return last, err
}
