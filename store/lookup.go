package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Candidates streams the current vulnerabilities of the lookups, all as of one
// moment. keep is called for each before its advisory is read; its
// Vulnerability has no name, description, links, dates and severities yet.
// Kept ones are yielded completely, later and in the same order. Distributions
// and repositories are shared between rows: nothing that is yielded may be
// modified.
func (db *DB) Candidates(ctx context.Context, lookups []clair.Lookup, keep func(clair.Candidate) bool) iter.Seq2[clair.Candidate, error] {
	return func(yield func(clair.Candidate, error) bool) {
		snap, err := db.Snapshot(ctx)
		if err != nil {
			yield(clair.Candidate{}, err)
			return
		}
		defer snap.Close()
		advisories := db.newRowResolver(snap.names)
		advisories.aliases = true
		texts := advisories.readTexts(ctx)
		defer texts.stop()
		r := db.newRowResolver(snap.names)
		for i := range lookups {
			l := lookup{
				i:      i,
				Lookup: &lookups[i],
				snap:   snap,
				r:      r,
				keep:   keep,
				texts:  texts,
			}
			if err := l.prepare(ctx); err != nil {
				yield(clair.Candidate{}, fmt.Errorf("look up candidates: %w", err))
				return
			}
			if !l.run(ctx, yield) {
				return
			}
		}
		texts.finish(yield)
	}
}

// textReader reads the advisories of kept rows in a goroutine of its own while
// its caller searches for more rows, because they are in different places of
// the file. Only its caller yields.
type textReader struct {
	in   chan keptPage
	out  chan keptPage
	stop func()       // ends the goroutine and waits for it
	err  func() error // why pages may have ended early, nil if they have not
}

// keptPage is a page of rows that were kept for a lookup.
type keptPage struct {
	lookup int
	rows   []stored
	err    error
}

func (r *rowResolver) readTexts(parent context.Context) *textReader {
	ctx, cancel := context.WithCancel(parent)
	t := &textReader{
		in:  make(chan keptPage),
		out: make(chan keptPage),
		err: parent.Err,
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(t.out)
		for {
			select {
			case p, more := <-t.in:
				if !more {
					return
				}
				p.err = r.advisories(ctx, p.rows)
				select {
				case t.out <- p:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	t.stop = func() {
		cancel()
		wg.Wait()
	}
	return t
}

// push passes a page on, yielding pages that are ready before it can be taken,
// and reports whether to continue.
func (t *textReader) push(p keptPage, yield func(clair.Candidate, error) bool) bool {
	for {
		select {
		case t.in <- p:
			return true
		case done, ok := <-t.out:
			if !ok {
				done.err = t.err() // the context's end ended the goroutine
			}
			if !done.yield(yield) {
				return false
			}
		}
	}
}

// finish yields the remaining pages.
func (t *textReader) finish(yield func(clair.Candidate, error) bool) {
	close(t.in)
	for p := range t.out {
		if !p.yield(yield) {
			return
		}
	}
	if err := t.err(); err != nil {
		yield(clair.Candidate{}, fmt.Errorf("look up candidates: %w", err))
	}
}

func (p keptPage) yield(yield func(clair.Candidate, error) bool) bool {
	if p.err != nil {
		return yield(clair.Candidate{}, fmt.Errorf("look up candidates: %w", p.err)) && false
	}
	for _, s := range p.rows {
		if !yield(clair.Candidate{Lookup: p.lookup, Vulnerability: s.v}, nil) {
			return false
		}
	}
	return true
}

// lookup is the state of one clair.Lookup.
type lookup struct {
	*clair.Lookup
	i     int
	snap  *Snapshot
	r     *rowResolver
	keep  func(clair.Candidate) bool
	texts *textReader

	wanted       map[clair.PackageKey]bool
	names        []string
	dists, repos string // JSON arrays of ids; "" = any
}

// lookupNames is how many names are looked up at once: few, so that reading
// the first advisories begins soon.
const lookupNames = 64

// textRows is how many advisories are read at once.
const textRows = 128

// prepare finds the ids of the distributions and repositories that satisfy the
// constraints.
func (l *lookup) prepare(ctx context.Context) (err error) {
	l.wanted = make(map[clair.PackageKey]bool, len(l.Packages))
	for _, p := range l.Packages {
		l.wanted[p] = true
		l.wanted[clair.PackageKey{Name: p.Name}] = true // rows without a kind
		l.names = append(l.names, p.Name)
	}
	slices.Sort(l.names)
	l.names = slices.Compact(l.names)
	const dists = `
		SELECT id
		FROM (SELECT * FROM dist UNION ALL SELECT 0, '', '', '', '', '', '', '', '')
		WHERE ifnull(did = ?1, 1) AND ifnull(name = ?2, 1) AND ifnull(version = ?3, 1)
		AND ifnull(version_id = ?4, 1) AND ifnull(pretty_name = ?5, 1)`
	const repos = `
		SELECT id
		FROM (SELECT * FROM repo UNION ALL SELECT 0, '', '', '', '')
		WHERE ifnull(name = ?1, 1) AND ifnull(key = ?2, 1)`
	l.dists, err = l.ids(ctx, dists, clair.DistributionDID, clair.DistributionName, clair.DistributionVersion,
		clair.DistributionVersionID, clair.DistributionPrettyName)
	if err != nil {
		return err
	}
	l.repos, err = l.ids(ctx, repos, clair.RepositoryName, clair.RepositoryKey)
	return err
}

// ids runs a query whose arguments are the required values of the fields, null
// for any; the query "" is used if all are null.
func (l *lookup) ids(ctx context.Context, query string, fields ...clair.Field) (string, error) {
	args := make([]any, len(fields))
	constrained := false
	for i, f := range fields {
		for _, c := range l.Where {
			if c.Field == f {
				args[i], constrained = c.Value, true
			}
		}
	}
	if !constrained {
		return "", nil
	}
	list, err := sqlitedb.ReadPage(ctx, l.r.db, query, sqlitedb.ScanID, args...)
	if err != nil {
		return "", err
	}
	return sqlitedb.JSONList(list), nil
}

func (l *lookup) run(ctx context.Context, yield func(clair.Candidate, error) bool) bool {
	for names := range slices.Chunk(l.names, lookupNames) {
		kept, err := l.find(ctx, names)
		if err != nil {
			return yield(clair.Candidate{}, fmt.Errorf("look up candidates: %w", err)) && false
		}
		for page := range slices.Chunk(kept, textRows) {
			if !l.texts.push(keptPage{lookup: l.i, rows: page}, yield) {
				return false
			}
		}
	}
	return true
}

// find reads the rows of some names and returns those that are visible,
// requested and kept. A set of distributions narrows the search, since a
// distribution's kernel has thousands of rows in each; repositories are
// checked within the index.
func (l *lookup) find(ctx context.Context, names []string) ([]stored, error) {
	const anywhere = `
		SELECT ` + narrowColumns + `
		FROM json_each(?1) AS j
		CROSS JOIN vuln_row AS r ON r.package_name = j.value
		WHERE (?2 = '' OR r.repo_id IN (SELECT value FROM json_each(iif(?2 = '', '[]', ?2))))`
	const within = `
		SELECT ` + narrowColumns + `
		FROM json_each(?1) AS j
		CROSS JOIN vuln_row AS r ON r.package_name = j.value AND r.dist_id IN (
			SELECT value
			FROM json_each(?3)
		)
		WHERE (?2 = '' OR r.repo_id IN (SELECT value FROM json_each(iif(?2 = '', '[]', ?2))))`
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	query, args := anywhere, []any{string(list), l.repos}
	if l.dists != "" {
		query, args = within, append(args, l.dists)
	}
	found, err := l.scan(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	kept := found[:0]
	for i := range found {
		if err := l.r.refer(ctx, &found[i]); err != nil {
			return nil, err
		}
		if l.keep == nil || l.keep(clair.Candidate{Lookup: l.i, Vulnerability: found[i].v}) {
			kept = append(kept, found[i])
		}
	}
	return kept, nil
}

// scan reads the rows of a query that are visible and requested. It runs no
// other query in the meantime: waiting for a second connection while holding
// one may never end.
func (l *lookup) scan(ctx context.Context, query string, args ...any) (found []stored, _ error) {
	rows, err := l.r.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scanNarrow(rows)
		if err != nil {
			return nil, sqlitedb.Classify(err)
		}
		if l.asked(&row) {
			found = append(found, row)
		}
	}
	return found, sqlitedb.Classify(rows.Err())
}

// asked reports whether a row is visible in the snapshot and requested.
func (l *lookup) asked(s *stored) bool {
	p := s.v.Package
	if !l.snap.visible(s.updater, s.added, s.removed) || !l.wanted[clair.PackageKey{Name: p.Name, Kind: p.Kind}] {
		return false
	}
	for _, c := range l.Where {
		if c.Field == clair.PackageModule && p.Module != c.Value {
			return false
		}
	}
	return true
}
