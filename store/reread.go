package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// rereads returns the changes of readers between two snapshots, by updater.
func (db *DB) rereads(ctx context.Context, from, to *Snapshot) (map[int64]clair.Reread, error) {
	type row struct {
		updater, from, at int64
		same              bool
	}
	const read = `
		SELECT id, reread_from, reread_at, reread_same
		FROM updater
		WHERE reread_at IS NOT NULL`
	all, err := sqlitedb.ReadPage(ctx, db.Read, read, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.updater, &r.from, &r.at, &r.same)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("find operations of other readers: %w", err)
	}
	out := map[int64]clair.Reread{}
	for _, r := range all {
		a, b := from.seqs[r.updater], to.seqs[r.updater]
		lo, hi := min(a, b), max(a, b)
		switch {
		case lo >= r.at || hi < r.at:
		case r.same && lo == r.from && hi == r.at:
			out[r.updater] = clair.RereadSame
		default:
			out[r.updater] = clair.RereadChanged
		}
	}
	return out, nil
}

// byReader reports whether the difference of a group is the reader's: all its
// rows that differ are of updaters whose reader changed, and either their feeds
// stayed the same, or the advisory was and is there.
func (im *impacts) byReader(ctx context.Context, g *group) (bool, error) {
	if len(im.rereads) == 0 {
		return false, nil
	}
	for u := range g.differ {
		if reader, err := im.isReader(ctx, u, g); err != nil || !reader {
			return false, err
		}
	}
	return true, nil
}

// unlisted returns the places whose findings differ and that no impact of a
// reader has been listed for yet: a package is listed once, whatever the number
// of its advisories.
func (im *impacts) unlisted(places []placeVerdict) (out []placeVerdict) {
	for _, p := range places {
		if !slices.Equal(findings(p.before), findings(p.after)) && im.listed.Set(p.place) {
			out = append(out, p)
		}
	}
	return out
}

// findings are what people see of rows that affect a place.
func findings(rows []*stored) (out []string) {
	for _, s := range rows {
		out = append(out, fmt.Sprint(s.v.NormalizedSeverity, " ", s.v.FixedInVersion))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (im *impacts) isReader(ctx context.Context, updater int64, g *group) (bool, error) {
	switch im.rereads[updater] {
	case clair.NotReread:
		return false, nil
	case clair.RereadSame:
		return true, nil
	}
	was, is := false, false
	for _, s := range g.before {
		was = was || s.updater == updater
	}
	for _, s := range g.after {
		is = is || s.updater == updater
	}
	// The advisory may be about other packages on the side without it.
	if !was {
		if found, err := im.hasAdvisory(ctx, im.from, updater, g.advisories); err != nil || !found {
			return false, err
		}
	}
	if !is {
		if found, err := im.hasAdvisory(ctx, im.to, updater, g.advisories); err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

// hasAdvisory reports whether an updater has one of some advisories in a
// snapshot.
func (im *impacts) hasAdvisory(ctx context.Context, in *Snapshot, updater int64, names []string) (found bool, err error) {
	// By the names, of which there are few advisories, and by the advisories,
	// which have few rows.
	const find = `
		SELECT EXISTS (
			SELECT 1
			FROM json_each(?1) AS j
			CROSS JOIN advisory AS a INDEXED BY advisory_name ON a.name = j.value
			CROSS JOIN vuln_row AS r INDEXED BY vuln_row_advisory ON r.advisory_id = a.id
			WHERE r.updater_id = ?2
			AND r.added <= ?3
			AND (r.removed IS NULL OR r.removed > ?3))`
	list, err := json.Marshal(names)
	if err != nil {
		return false, err
	}
	err = im.db.Read.QueryRowContext(ctx, find, string(list), updater, in.seqs[updater]).Scan(&found)
	return found, sqlitedb.Classify(err)
}
