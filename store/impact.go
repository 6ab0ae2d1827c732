package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"oriel/clair"
	"oriel/store/history"
)

// impacts computes the changes for manifests between two snapshots. It streams
// the rows that differ and, for each advisory and package among them, judges
// with all rows of all updaters whether a place was affected before and is
// affected after. So it is not a change if a row replaces another one, or if
// two updaters name one advisory, and the place stays affected.
type impacts struct {
	affectedFinder
	from, to *Snapshot
	scope    scope
	// rereads has the changes of readers between the two snapshots, by
	// updater.
	rereads map[int64]clair.Reread
	// listed are the places that an impact of a reader has been listed for.
	listed history.Bitmap
}

// scope is one manifest, or all if it is zero.
type scope struct {
	id   int64
	hash clair.Digest
}

// impactPackages is how many packages are processed at once: their places, and
// the manifests with them, are in memory together.
const impactPackages = 32

// impacts streams the impacts of the difference between two snapshots, on all
// manifests or on those of the scope. Both snapshots stay open until it ends.
func (db *DB) impacts(ctx context.Context, from, to *Snapshot, of scope, affects Affects) iter.Seq2[clair.Impact, error] {
	return func(yield func(clair.Impact, error) bool) {
		r := db.newRowResolver(to.names)
		im := &impacts{
			affectedFinder: affectedFinder{
				db:      db,
				r:       r,
				affects: affects,
				digests: map[int64]clair.Digest{},
			},
			from:  from,
			to:    to,
			scope: of,
		}
		err := im.run(ctx, func(i clair.Impact) bool { return yield(i, nil) })
		if err != nil && !errors.Is(err, errStopped) {
			yield(clair.Impact{}, fmt.Errorf("find what changed for manifests: %w", err))
		}
	}
}

// errStopped means that the caller stopped the iteration.
var errStopped = errors.New("stopped")

func (im *impacts) run(ctx context.Context, emit func(clair.Impact) bool) (err error) {
	if im.rereads, err = im.db.rereads(ctx, im.from, im.to); err != nil {
		return err
	}
	for _, u := range slices.Sorted(maps.Keys(im.to.seqs)) {
		a, known := im.from.seqs[u]
		b := im.to.seqs[u]
		if !known || a == b {
			continue
		}
		lo, hi := min(a, b), max(a, b)
		for _, w := range []walk{addedBetween(u, lo, hi), removedBetween(u, lo, hi)} {
			for page, err := range im.db.pages(ctx, w) {
				if err == nil {
					err = im.page(ctx, page, emit)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// page is some of the rows that differ.
func (im *impacts) page(ctx context.Context, page []stored, emit func(clair.Impact) bool) error {
	ids, byName := map[int64]bool{}, map[string][]stored{}
	for _, s := range page {
		ids[s.id] = true
		byName[s.v.Package.Name] = append(byName[s.v.Package.Name], s)
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(byName)), impactPackages) {
		found, err := im.installed(ctx, names, im.scope.id)
		if err != nil {
			return err
		}
		places := map[string][]installed{}
		for _, h := range found {
			places[h.pkg.Name] = append(places[h.pkg.Name], h)
		}
		var differ []stored
		for name := range places {
			differ = append(differ, byName[name]...)
		}
		if len(differ) == 0 {
			continue
		}
		groups, err := im.groups(ctx, slices.Sorted(maps.Keys(places)), differ, ids)
		if err != nil {
			return err
		}
		if err := im.judgeGroups(ctx, groups, places, emit); err != nil {
			return err
		}
	}
	return nil
}

// group is the rows of one vulnerability (finding.Group) about packages of one
// name.
type group struct {
	pkg           string
	advisories    []string // the names of the rows, sorted
	before, after []*stored
	// differ are the updaters of the rows that are only in one of them.
	differ map[int64]bool
}

// split divides a group's rows into those visible before and those visible
// after, and returns the row that represents the difference: the first added
// one, or else the first removed one.
func (im *impacts) split(rows []*grouped, g *group) (first int64) {
	type key struct {
		updater int64
		hash    history.Hash
	}
	seen := map[key]int{}
	const before, after = 1, 2
	slices.SortFunc(rows, func(a, b *grouped) int { return cmp.Compare(a.id, b.id) })
	for _, r := range rows {
		g.advisories = append(g.advisories, r.v.Name)
		if im.from.visible(r.updater, r.added, r.removed) {
			g.before = append(g.before, &r.stored)
			seen[key{r.updater, r.hash}] |= before
		}
		if im.to.visible(r.updater, r.added, r.removed) {
			g.after = append(g.after, &r.stored)
			seen[key{r.updater, r.hash}] |= after
		}
	}
	slices.Sort(g.advisories)
	g.advisories = slices.Compact(g.advisories)
	g.differ = map[int64]bool{}
	for k, sides := range seen {
		if sides != before|after {
			g.differ[k.updater] = true
		}
	}
	for _, side := range []int{after, before} {
		for _, r := range rows {
			in := im.from
			if side == after {
				in = im.to
			}
			if seen[key{r.updater, r.hash}] == side && in.visible(r.updater, r.added, r.removed) {
				return r.id
			}
		}
	}
	return 0
}

// verdict is the change of a group for one version of its package.
type verdict struct {
	version string
	places  []placeVerdict
	reader  bool // the difference is the reader's and not the feed's
}

// placeVerdict is the rows of a group that affect a place.
type placeVerdict struct {
	place         int64
	before, after []*stored
}

func (im *impacts) judgeGroups(ctx context.Context, groups []*group, places map[string][]installed, emit func(clair.Impact) bool) error {
	var verdicts []verdict
	var rows []stored
	hit := map[*stored]int{} // its index in rows
	wanted := map[int64]bool{}
	for _, g := range groups {
		list, err := im.verdicts(ctx, g, places[g.pkg])
		if err != nil {
			return err
		}
		reader, err := im.byReader(ctx, g)
		if err != nil {
			return err
		}
		for i, v := range list {
			list[i].reader = reader
			for _, p := range v.places {
				wanted[p.place] = true
				for _, s := range append(slices.Clone(p.before), p.after...) {
					if _, known := hit[s]; !known {
						hit[s] = len(rows)
						rows = append(rows, *s)
					}
				}
			}
		}
		verdicts = append(verdicts, list...)
	}
	if len(verdicts) == 0 {
		return nil
	}
	if err := im.r.advisories(ctx, rows); err != nil {
		return err
	}
	manifests, err := im.manifestsOf(ctx, wanted)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.reader {
			v.places = im.unlisted(v.places)
		}
		for _, i := range v.impacts(manifests) {
			i.Reader = v.reader
			if !emit(i) {
				return errStopped
			}
		}
	}
	return nil
}

// verdicts judges for each place whether the rows of a group affect it.
func (im *impacts) verdicts(ctx context.Context, g *group, places []installed) ([]verdict, error) {
	for _, s := range append(slices.Clone(g.before), g.after...) {
		if err := im.r.refer(ctx, s); err != nil {
			return nil, err
		}
	}
	var out []verdict
	for _, h := range places {
		dist, err := im.r.dist(ctx, h.dist)
		if err != nil {
			return nil, err
		}
		repo, err := im.r.repo(ctx, h.repo)
		if err != nil {
			return nil, err
		}
		affecting := func(list []*stored) (hits []*stored) {
			for _, s := range list {
				if im.affects(s.v, h.pkg, dist, repo) {
					hits = append(hits, s)
				}
			}
			return hits
		}
		p := placeVerdict{h.place, affecting(g.before), affecting(g.after)}
		if len(p.before)+len(p.after) == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(v verdict) bool { return v.version == h.pkg.Version })
		if i < 0 {
			i = len(out)
			out = append(out, verdict{version: h.pkg.Version})
		}
		out[i].places = append(out[i].places, p)
	}
	return out, nil
}

// manifestsOf reads which manifests have each of some places.
func (im *impacts) manifestsOf(ctx context.Context, places map[int64]bool) (map[int64][]clair.Digest, error) {
	out := make(map[int64][]clair.Digest, len(places))
	if im.scope.id != 0 {
		for p := range places {
			out[p] = []clair.Digest{im.scope.hash}
		}
		return out, nil
	}
	for page := range slices.Chunk(slices.Sorted(maps.Keys(places)), affectedPlaces) {
		found, err := im.manifests(ctx, page)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, found)
	}
	return out, nil
}

// impacts combines manifests that have the version in the same places.
func (v verdict) impacts(manifests map[int64][]clair.Digest) []clair.Impact {
	if len(v.places) == 1 {
		return appendImpact(nil, v.version, v.places, manifests[v.places[0].place])
	}
	in := map[clair.Digest][]int{}
	for i, p := range v.places {
		for _, m := range manifests[p.place] {
			in[m] = append(in[m], i)
		}
	}
	alike := map[string][]clair.Digest{}
	sets := map[string][]placeVerdict{}
	for m, list := range in {
		key := fmt.Sprint(list)
		alike[key] = append(alike[key], m)
		if sets[key] == nil {
			for _, i := range list {
				sets[key] = append(sets[key], v.places[i])
			}
		}
	}
	var out []clair.Impact
	for _, key := range slices.Sorted(maps.Keys(alike)) {
		slices.Sort(alike[key])
		out = appendImpact(out, v.version, sets[key], alike[key])
	}
	return out
}

// appendImpact appends the impact on manifests that have the version in all of
// the places.
func appendImpact(out []clair.Impact, version string, places []placeVerdict, manifests []clair.Digest) []clair.Impact {
	if len(manifests) == 0 {
		return out
	}
	i := clair.Impact{Version: version, Manifests: manifests}
	for _, p := range places {
		i.Before, i.After = appendVulns(i.Before, p.before), appendVulns(i.After, p.after)
	}
	return append(out, i)
}

// appendVulns appends the vulnerabilities that are missing in the list.
func appendVulns(list []*clair.Vulnerability, rows []*stored) []*clair.Vulnerability {
	for _, s := range rows {
		if !slices.Contains(list, s.v) {
			list = append(list, s.v)
		}
	}
	return list
}
