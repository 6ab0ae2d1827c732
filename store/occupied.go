package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Sections returns the sections that have rows in the updaters' current
// operations, in the order of their ids. It does not count their rows: Rows is
// 1. The time does not depend on the number of rows, and each updater's sections
// are read once after each of its updates.
func (db *DB) Sections(ctx context.Context) ([]clair.Section, error) {
	s, err := db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.sections(ctx, &db.occupied, s.occupiedSections)
}

// occupiedSections finds the sections of an updater by skipping from each to the
// next in the index, and looks for one visible row in each.
func (s *Snapshot) occupiedSections(ctx context.Context, updater int64) ([]clair.Section, error) {
	const find = `
		WITH RECURSIVE first (id) AS (
			SELECT (
				SELECT id
				FROM vuln_row INDEXED BY vuln_row_section
				WHERE updater_id = ?1
				ORDER BY dist_id, repo_id
				LIMIT 1
			)
			UNION ALL
			SELECT coalesce(
				(
					SELECT n.id
					FROM vuln_row AS n INDEXED BY vuln_row_section
					WHERE n.updater_id = ?1 AND n.dist_id = r.dist_id AND n.repo_id > r.repo_id
					ORDER BY n.repo_id
					LIMIT 1
				),
				(
					SELECT n.id
					FROM vuln_row AS n INDEXED BY vuln_row_section
					WHERE n.updater_id = ?1 AND n.dist_id > r.dist_id
					ORDER BY n.dist_id, n.repo_id
					LIMIT 1
				)
			)
			FROM first
			JOIN vuln_row AS r ON r.id = first.id
		)
		SELECT r.updater_id, r.dist_id, r.repo_id, 1
		FROM first
		JOIN vuln_row AS r ON r.id = first.id
		WHERE EXISTS (
			SELECT 1
			FROM vuln_row AS v INDEXED BY vuln_row_section
			WHERE v.updater_id = ?1 AND v.dist_id = r.dist_id AND v.repo_id = r.repo_id
			AND v.added <= ?2 AND (v.removed IS NULL OR v.removed > ?2)
		)`
	return sqlitedb.ReadPage(ctx, s.db.Read, find, scanSection, updater, s.seqs[updater])
}

// knownSections are an updater's sections as of an operation.
type knownSections struct {
	seq      int64
	sections []clair.Section
}

// sectionCache caches the sections of each updater, by its id.
type sectionCache struct {
	// lock is a semaphore that serializes queries and guards known.
	lock  chan struct{}
	known map[int64]knownSections
}

func newSectionCache() sectionCache {
	return sectionCache{make(chan struct{}, 1), map[int64]knownSections{}}
}

// sections returns the sections of all updaters. The view of an operation never
// changes, so that those of an updater are read once after each of its updates.
func (s *Snapshot) sections(ctx context.Context, c *sectionCache, read func(context.Context, int64) ([]clair.Section, error)) ([]clair.Section, error) {
	select {
	case c.lock <- struct{}{}:
		defer func() { <-c.lock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := s.db.newRowResolver(s.names)
	var all []clair.Section
	for _, updater := range slices.Sorted(maps.Keys(s.seqs)) {
		known := c.known[updater]
		if known.seq != s.seqs[updater] {
			list, err := read(ctx, updater)
			if err == nil {
				err = s.describeSections(ctx, r, list)
			}
			if err != nil {
				return nil, fmt.Errorf("sections of %s: %w", s.names[updater], err)
			}
			known = knownSections{s.seqs[updater], list}
			c.known[updater] = known
		}
		all = append(all, known.sections...)
	}
	return all, nil
}

// describeSections adds the updater, distribution and repository of sections.
func (s *Snapshot) describeSections(ctx context.Context, r *rowResolver, list []clair.Section) (err error) {
	for i := range list {
		list[i].Updater = s.names[list[i].ID.Updater]
		if list[i].Dist, err = r.dist(ctx, list[i].ID.Dist); err != nil {
			return err
		}
		if list[i].Repo, err = r.repo(ctx, list[i].ID.Repo); err != nil {
			return err
		}
	}
	return nil
}

func scanSection(rows *sql.Rows) (s clair.Section, err error) {
	err = rows.Scan(&s.ID.Updater, &s.ID.Dist, &s.ID.Repo, &s.Rows)
	return s, err
}
