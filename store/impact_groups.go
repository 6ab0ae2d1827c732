package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/finding"
	"oriel/store/history"
	"oriel/store/sqlitedb"
)

// grouped is a row with the keys by which it is grouped and compared.
type grouped struct {
	stored
	hash history.Hash
}

// related is the rows about the packages of one name that may belong to the
// groups of differing rows.
type related struct {
	rows map[*clair.Vulnerability]*grouped
	// known are the rows' ids.
	known map[int64]bool
	// ids are the names and aliases that rows have been read by.
	ids map[string]bool
	// differ are the rows' ids that groups are wanted of.
	differ map[int64]bool
}

// groups reads all rows of the groups that the differing rows belong to. A
// group belongs to the page with the first of its differing rows, so that it is
// judged once.
func (im *impacts) groups(ctx context.Context, names []string, differ []stored, ids map[int64]bool) ([]*group, error) {
	wanted, err := im.namesOf(ctx, differ)
	if err != nil {
		return nil, err
	}
	byName := map[string]*related{}
	for _, name := range names {
		byName[name] = &related{
			rows:   map[*clair.Vulnerability]*grouped{},
			known:  map[int64]bool{},
			ids:    map[string]bool{},
			differ: map[int64]bool{},
		}
	}
	for _, s := range differ {
		byName[s.v.Package.Name].differ[s.id] = true
	}
	var out []*group
	// An advisory that is found may name further ones.
	for len(names) > 0 {
		if err := im.relate(ctx, byName, names, wanted); err != nil {
			return nil, err
		}
		var again []string
		more := map[string]bool{}
		for _, name := range names {
			r := byName[name]
			lists := r.groups()
			unread := r.unread(lists)
			if len(unread) > 0 {
				again = append(again, name)
				maps.Copy(more, unread)
				continue
			}
			for _, list := range lists {
				g := &group{pkg: name}
				if ids[im.split(list, g)] {
					out = append(out, g)
				}
			}
		}
		names, wanted = again, more
	}
	slices.SortFunc(out, func(a, b *group) int {
		return cmp.Or(strings.Compare(a.pkg, b.pkg), slices.Compare(a.advisories, b.advisories))
	})
	return out, nil
}

// namesOf reads the names and aliases of the rows' advisories.
func (im *impacts) namesOf(ctx context.Context, rows []stored) (map[string]bool, error) {
	const read = `
		SELECT a.name
		FROM json_each(?1) AS j
		CROSS JOIN advisory AS a ON a.id = j.value
		UNION
		SELECT a.alias
		FROM json_each(?1) AS j
		CROSS JOIN advisory_alias AS a ON a.advisory_id = j.value`
	var advisories []int64
	for _, s := range rows {
		advisories = append(advisories, s.advisory)
	}
	found, err := im.r.query(ctx, read, sqlitedb.JSONList(advisories))
	list, err := sqlitedb.ScanAll(found, err, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	})
	out := map[string]bool{}
	for _, name := range list {
		out[name] = true
	}
	return out, err
}

// relate reads the rows about the packages that have one of the ids, as the
// name of their advisory or as an alias of it, and that are visible before or
// after.
func (im *impacts) relate(ctx context.Context, byName map[string]*related, names []string, ids map[string]bool) error {
	// The search is by packages, not by advisories, because some advisories
	// have thousands of rows and the differing ones are sorted by their
	// packages. The + makes SQLite read the few aliases of an advisory, instead
	// of looking each of thousands of ids up among them.
	const read = `
		SELECT ` + narrowColumns + `, r.hash, a.name, a.normalized_severity,
			(SELECT json_group_array(alias) FROM advisory_alias WHERE advisory_id = a.id)
		FROM json_each(?1) AS j
		CROSS JOIN vuln_row AS r ON r.package_name = j.value
		CROSS JOIN advisory AS a ON a.id = r.advisory_id
		WHERE a.name IN (SELECT value FROM json_each(?2))
		OR EXISTS (
			SELECT 1
			FROM advisory_alias AS x
			WHERE x.advisory_id = a.id
			AND +x.alias IN (SELECT value FROM json_each(?2)))`
	packages, err := json.Marshal(names)
	if err != nil {
		return err
	}
	list, err := json.Marshal(slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return err
	}
	rows, err := im.r.query(ctx, read, string(packages), string(list))
	all, err := sqlitedb.ScanAll(rows, err, scanGrouped)
	if err != nil {
		return err
	}
	for _, name := range names {
		maps.Copy(byName[name].ids, ids)
	}
	for i := range all {
		s := &all[i]
		if im.from.visible(s.updater, s.added, s.removed) || im.to.visible(s.updater, s.added, s.removed) {
			byName[s.v.Package.Name].add(s)
		}
	}
	return nil
}

func scanGrouped(rows *sql.Rows) (g grouped, err error) {
	var h sql.RawBytes
	var name, aliases string
	var severity clair.Severity
	if g.stored, err = scanNarrowAnd(rows, &h, &name, &severity, &aliases); err != nil {
		return g, err
	}
	copy(g.hash[:], h)
	g.v.Name, g.v.NormalizedSeverity = name, severity
	return g, json.Unmarshal([]byte(aliases), &g.v.Aliases)
}

// add adds a row, unless it has been read before.
func (r *related) add(s *grouped) {
	if !r.known[s.id] {
		r.known[s.id] = true
		r.rows[s.v] = s
	}
}

// groups returns the groups that have a differing row, as far as their rows
// have been read.
func (r *related) groups() (out [][]*grouped) {
	vulns := slices.SortedFunc(maps.Keys(r.rows), func(a, b *clair.Vulnerability) int {
		return cmp.Compare(r.rows[a].id, r.rows[b].id)
	})
	for _, list := range finding.Group(vulns) {
		var rows []*grouped
		differs := false
		for _, v := range list {
			rows = append(rows, r.rows[v])
			differs = differs || r.differ[r.rows[v].id]
		}
		if differs {
			out = append(out, rows)
		}
	}
	return out
}

// unread returns the names and aliases of groups that rows have not been read
// by yet.
func (r *related) unread(lists [][]*grouped) map[string]bool {
	out := map[string]bool{}
	for _, list := range lists {
		for _, s := range list {
			for _, id := range append([]string{s.v.Name}, s.v.Aliases...) {
				if !r.ids[id] {
					out[id] = true
				}
			}
		}
	}
	return out
}
