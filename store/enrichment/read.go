package enrichment

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Reader reads records by their tags.
type Reader struct {
	db    *sqlitedb.DB
	cache cache
}

// NewReader returns a reader with an empty cache.
func NewReader(db *sqlitedb.DB) *Reader { return &Reader{db: db} }

// CachedBytes returns the size of the newer half of the cache.
func (r *Reader) CachedBytes() int {
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	return r.cache.size
}

// View is the set of rows that an operation of an updater sees. It never
// changes.
type View struct{ Updater, Seq int64 }

// Records returns the records of a view with any of the tags, each
// once. Cached ones need no query.
func (r *Reader) Records(ctx context.Context, v View, tags []string) ([]clair.EnrichmentRecord, error) {
	rows, unknown := r.cache.get(v, tags)
	if len(unknown) > 0 {
		read, err := r.read(ctx, v, unknown)
		if err != nil {
			return nil, err
		}
		r.cache.put(v, unknown, read)
		rows = append(rows, read...)
	}
	slices.SortFunc(rows, func(a, b tagged) int { return cmp.Compare(a.id, b.id) })
	var found []clair.EnrichmentRecord
	for i, one := range rows {
		if i == 0 || one.id != rows[i-1].id {
			found = append(found, one.EnrichmentRecord)
		}
	}
	return found, nil
}

// tagged is a record with the tag by which it was found.
type tagged struct {
	tag string
	id  int64
	clair.EnrichmentRecord
}

func (r *Reader) read(ctx context.Context, v View, tags []string) ([]tagged, error) {
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
	stmt, err := r.db.Prepared(ctx, find)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, v.Updater, string(list), v.Seq)
	return sqlitedb.ScanAll(rows, err, scanTagged)
}

func scanTagged(rows *sql.Rows) (r tagged, err error) {
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
