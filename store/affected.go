package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Affects reports whether a vulnerability affects a package in a distribution
// and a repository, either of which may be nil. The advisory's part of the
// vulnerability (name, texts, severity) may be missing.
type Affects = func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool

// installed is a package of manifests. Dist and Repo may be nil.
type installed struct {
	place, dist, repo int64
	pkg               *clair.Package
}

const (
	// affectedVulns is how many vulnerabilities are looked up at once.
	affectedVulns = 1000
	// affectedPlaces is how many places' manifests are read at once.
	affectedPlaces = 500
)

// AffectedManifests streams which manifests each vulnerability affects, by its
// index in the stream. A manifest with an affected package in several places
// is yielded once for each. affects decides for a package in its distribution
// and repository; it is called once for each of them, not for each manifest.
func (db *DB) AffectedManifests(ctx context.Context, vulns iter.Seq2[*clair.Vulnerability, error],
	affects Affects,
) iter.Seq2[clair.AffectedManifests, error] {
	return func(yield func(clair.AffectedManifests, error) bool) {
		a := affectedFinder{
			db:      db,
			r:       db.newRowResolver(nil),
			affects: affects,
			digests: map[int64]clair.Digest{},
		}
		for v, err := range vulns {
			if err != nil {
				yield(clair.AffectedManifests{}, err)
				return
			}
			a.batch = append(a.batch, v)
			if len(a.batch) == affectedVulns && !a.run(ctx, yield) {
				return
			}
		}
		if len(a.batch) > 0 {
			a.run(ctx, yield)
		}
	}
}

// affected is the work of AffectedManifests on a batch.
type affectedFinder struct {
	db      *DB
	r       *rowResolver
	affects Affects
	batch   []*clair.Vulnerability
	first   int // index of the batch's first vulnerability in the stream
	// digests is a cache of manifests' digests.
	digests map[int64]clair.Digest
}

// digestsKept limits the cache of digests, at about 150 bytes each.
const digestsKept = 50_000

func (a *affectedFinder) run(ctx context.Context, yield func(clair.AffectedManifests, error) bool) bool {
	hits, places, err := a.judge(ctx)
	if err != nil {
		return yield(clair.AffectedManifests{}, fmt.Errorf("find affected manifests: %w", err)) && false
	}
	for page := range slices.Chunk(places, affectedPlaces) {
		manifests, err := a.manifests(ctx, page)
		if err != nil {
			return yield(clair.AffectedManifests{}, fmt.Errorf("find affected manifests: %w", err)) && false
		}
		for _, place := range page {
			for _, v := range hits[place] {
				if !yield(clair.AffectedManifests{Vulnerability: a.first + v, Manifests: manifests[place]}, nil) {
					return false
				}
			}
		}
	}
	a.first += len(a.batch)
	clear(a.batch)
	a.batch = a.batch[:0]
	return true
}

// judge finds the places with a package of one of the batch's names and asks
// which vulnerabilities affect it. It returns indexes in the batch by place,
// and the places in order.
func (a *affectedFinder) judge(ctx context.Context) (map[int64][]int, []int64, error) {
	byName := map[string][]int{}
	var names []string
	for i, v := range a.batch {
		if v.Package == nil || v.Package.Name == "" {
			continue
		}
		name := v.Repo.PackageName(v.Package.Name)
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], i)
	}
	slices.Sort(names)
	found, err := a.installed(ctx, names, 0)
	if err != nil {
		return nil, nil, err
	}
	hits := map[int64][]int{}
	var places []int64
	for _, h := range found {
		dist, err := a.r.dist(ctx, h.dist)
		if err != nil {
			return nil, nil, err
		}
		repo, err := a.r.repo(ctx, h.repo)
		if err != nil {
			return nil, nil, err
		}
		for _, i := range byName[h.pkg.Name] {
			if a.affects(a.batch[i], h.pkg, dist, repo) {
				hits[h.place] = append(hits[h.place], i)
			}
		}
		if hits[h.place] != nil {
			places = append(places, h.place)
		}
	}
	slices.Sort(places)
	return hits, places, nil
}

// installed finds the places with a package of one of the names, in all manifests
// or in one.
func (a *affectedFinder) installed(ctx context.Context, names []string, manifest int64) ([]installed, error) {
	const find = `
		SELECT l.id, l.dist_id, l.repo_id, p.name, p.version, p.kind, p.module, p.arch, p.normalized_version
		FROM json_each(?1) AS j
		CROSS JOIN package AS p ON p.name = j.value
		CROSS JOIN place AS l ON l.package_id = p.id
		WHERE ?2 = 0 OR EXISTS (
			SELECT 1
			FROM manifest_index_row AS i
			WHERE i.place_id = l.id AND i.manifest_id = ?2
		)`
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	rows, err := a.r.query(ctx, find, string(list), manifest)
	return sqlitedb.ScanAll(rows, err, scanInstalled)
}

func scanInstalled(rows *sql.Rows) (installed, error) {
	h := installed{pkg: &clair.Package{}}
	p := h.pkg
	err := rows.Scan(&h.place, &h.dist, &h.repo, &p.Name, &p.Version, &p.Kind, &p.Module, &p.Arch, &p.NormalizedVersion)
	return h, err
}

// manifests reads which manifests have each of some places.
func (a *affectedFinder) manifests(ctx context.Context, places []int64) (map[int64][]clair.Digest, error) {
	// One text for each place, because reading a row for each manifest takes
	// ten times as long.
	const find = `
		SELECT i.place_id, group_concat(i.manifest_id)
		FROM json_each(?) AS j
		CROSS JOIN manifest_index_row AS i ON i.place_id = j.value
		GROUP BY i.place_id`
	rows, err := a.r.query(ctx, find, sqlitedb.JSONList(places))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := map[int64][]int64{}
	var unknown []int64
	asked := map[int64]bool{}
	for rows.Next() {
		var place int64
		var list string
		if err := rows.Scan(&place, &list); err != nil {
			return nil, sqlitedb.Classify(err)
		}
		for text := range strings.SplitSeq(list, ",") {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the manifests of a package: %w", err)
			}
			ids[place] = append(ids[place], id)
			if _, known := a.digests[id]; !known && !asked[id] {
				asked[id] = true
				unknown = append(unknown, id)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, sqlitedb.Classify(err)
	}
	return a.resolve(ctx, ids, unknown)
}

// resolve returns the digests of ids.
func (a *affectedFinder) resolve(ctx context.Context, ids map[int64][]int64, unknown []int64) (map[int64][]clair.Digest, error) {
	const find = `
		SELECT m.id, m.hash
		FROM json_each(?) AS j
		CROSS JOIN manifest AS m ON m.id = j.value`
	if len(a.digests)+len(unknown) > digestsKept {
		clear(a.digests) // and ask for all of this page again
		unknown = unknown[:0]
		for _, list := range ids {
			unknown = append(unknown, list...)
		}
		slices.Sort(unknown)
		unknown = slices.Compact(unknown)
	}
	if len(unknown) > 0 {
		rows, err := a.r.query(ctx, find, sqlitedb.JSONList(unknown))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var hash string
			if err := rows.Scan(&id, &hash); err != nil {
				return nil, sqlitedb.Classify(err)
			}
			a.digests[id] = clair.Digest(hash)
		}
		if err := rows.Err(); err != nil {
			return nil, sqlitedb.Classify(err)
		}
	}
	out := make(map[int64][]clair.Digest, len(ids))
	for place, list := range ids {
		digests := make([]clair.Digest, 0, len(list))
		for _, id := range list {
			if d, ok := a.digests[id]; ok {
				digests = append(digests, d) // deleted meanwhile where not
			}
		}
		out[place] = digests
	}
	return out, nil
}
