package store

import (
	"context"
	"database/sql"
	"fmt"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Stats is the size of a database.
type Stats struct {
	// Operations counts the update operations of each kind.
	Operations map[clair.Kind]int64
	Manifests  int64
	// File and WAL are the sizes of the database and its write-ahead log, and
	// Free is the part of the file that is free for new rows; in bytes.
	File, WAL, Free int64
}

// Stats measures the database by a few short queries.
func (db *DB) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Operations: map[clair.Kind]int64{clair.KindVulnerability: 0, clair.KindEnrichment: 0}}
	type count struct {
		kind clair.Kind
		n    int64
	}
	const operations = `SELECT kind, count(*) FROM update_operation GROUP BY kind`
	counts, err := sqlitedb.ReadPage(ctx, db.Read, operations, func(rows *sql.Rows) (c count, err error) {
		var kind string
		err = rows.Scan(&kind, &c.n)
		c.kind = clair.Kind(kind)
		return c, err
	})
	if err != nil {
		return s, fmt.Errorf("count update operations: %w", err)
	}
	for _, c := range counts {
		s.Operations[c.kind] = c.n
	}
	const sizes = `
		SELECT (SELECT count(*) FROM manifest), f.freelist_count * p.page_size
		FROM pragma_freelist_count AS f, pragma_page_size AS p`
	if err := db.Read.QueryRowContext(ctx, sizes).Scan(&s.Manifests, &s.Free); err != nil {
		return s, fmt.Errorf("measure the database: %w", sqlitedb.Classify(err))
	}
	if s.File, err = sqlitedb.FileSize(db.path); err != nil {
		return s, err
	}
	s.WAL, err = sqlitedb.FileSize(db.path + "-wal")
	return s, err
}
