package index

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"oriel/clair"
)

// place is one place in which a package was found.
type place struct {
	db    string
	layer clair.Digest
	dist  *clair.Distribution
	// ecosystem names the repository of a language's package, and
	// repositories are those of any other.
	ecosystem    string
	repositories []clair.Repository
}

// repos returns the repositories of a place.
func (p place) repos() []clair.Repository {
	if e, ok := clair.EcosystemByRepository(p.ecosystem); ok {
		return []clair.Repository{{Name: e.Repository, URI: e.URI}}
	}
	return p.repositories
}

// equal reports whether two places in the order of a report are the same.
func (p place) equal(o place) bool {
	return p.db == o.db && p.layer == o.layer && p.dist == o.dist && p.ecosystem == o.ecosystem
}

// report builds an index report: packages with their places. They get their ids
// at the end, in an order that depends on nothing else.
type report struct {
	manifest  clair.Digest
	packages  map[string]*placed
	unmatched []clair.Unmatched
}

type placed struct {
	pkg    clair.Package
	places []place
}

func newReport(manifest clair.Digest) *report {
	return &report{manifest: manifest, packages: map[string]*placed{}}
}

// maxUnmatched bounds the unmatched components of a report.
const maxUnmatched = 10_000

// unmatch adds a component that cannot be matched.
func (r *report) unmatch(u clair.Unmatched) {
	if len(r.unmatched) < maxUnmatched {
		r.unmatched = append(r.unmatched, u)
	}
}

// add adds a package in one place. The same package in two places is one.
func (r *report) add(p clair.Package, at place) {
	key := packageKey(&p)
	if r.packages[key] == nil {
		r.packages[key] = &placed{pkg: p}
	}
	if at.ecosystem != "" {
		at.dist = nil // a language's package is not of a distribution
	}
	r.packages[key].places = append(r.packages[key].places, at)
}

// finish returns the report. All ids are decimal and unique in it.
func (r *report) finish() *clair.IndexReport {
	out := &clair.IndexReport{
		Hash: r.manifest, Packages: map[string]*clair.Package{}, Distributions: map[string]*clair.Distribution{},
		Repositories: map[string]*clair.Repository{}, Environments: map[string][]clair.Environment{},
	}
	n := 0
	next := func() string { n++; return strconv.Itoa(n) }
	dists, repos, sources := map[clair.Distribution]string{}, map[clair.Repository]string{}, map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(r.packages)) {
		one := r.packages[key]
		p := one.pkg
		p.ID = next()
		if p.Source != nil {
			src := *p.Source
			if src.ID = sources[packageKey(&src)]; src.ID == "" {
				src.ID = next()
				sources[packageKey(&src)] = src.ID
			}
			p.Source = &src
		}
		out.Packages[p.ID] = &p
		slices.SortFunc(one.places, func(a, b place) int {
			return cmp.Or(cmp.Compare(a.db, b.db), cmp.Compare(a.layer, b.layer), cmp.Compare(a.ecosystem, b.ecosystem))
		})
		for _, at := range slices.CompactFunc(one.places, place.equal) {
			env := clair.Environment{PackageDB: at.db, IntroducedIn: cmp.Or(at.layer, r.manifest), RepositoryIDs: []string{}}
			if at.dist != nil {
				if dists[*at.dist] == "" {
					dists[*at.dist] = next()
					d := *at.dist
					d.ID = dists[*at.dist]
					out.Distributions[d.ID] = &d
				}
				env.DistributionID = dists[*at.dist]
			}
			for _, repo := range at.repos() {
				if repos[repo] == "" {
					repos[repo] = next()
					r := repo
					r.ID = repos[repo]
					out.Repositories[r.ID] = &r
				}
				env.RepositoryIDs = append(env.RepositoryIDs, repos[repo])
			}
			out.Environments[p.ID] = append(out.Environments[p.ID], env)
		}
	}
	slices.SortStableFunc(r.unmatched, func(a, b clair.Unmatched) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Reason, b.Reason))
	})
	out.Unmatched = slices.Compact(r.unmatched)
	return out
}
