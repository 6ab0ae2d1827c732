package match

import (
	"cmp"
	"maps"
	"slices"

	"oriel/clair"
)

// Record is one package in one place, which is what rules are asked about: a
// package as it is installed or the source it was built from, with the
// distribution and the repository it came from. Dist and Repo may be nil.
type Record struct {
	Package *clair.Package
	Dist    *clair.Distribution
	Repo    *clair.Repository
}

// unmatchable is the normalised version of what is never to be matched, such
// as a package of a layer that only records a build.
const unmatchable = "unmatchable"

// RecordsOf lists the records of one package of an index report: itself and
// its source, in every environment and repository.
func RecordsOf(r *clair.IndexReport, id string) []Record {
	p := r.Packages[id]
	if p == nil || p.NormalizedVersion == unmatchable {
		return nil
	}
	var out []Record
	for _, env := range r.Environments[id] {
		dist := r.Distributions[env.DistributionID]
		if len(env.RepositoryIDs) == 0 {
			out = appendRecords(out, p, dist, nil)
		}
		for _, repo := range env.RepositoryIDs {
			out = appendRecords(out, p, dist, r.Repositories[repo])
		}
	}
	return out
}

func appendRecords(out []Record, p *clair.Package, dist *clair.Distribution, repo *clair.Repository) []Record {
	own := *p
	own.Kind = cmp.Or(own.Kind, clair.Binary)
	out = append(out, Record{&own, dist, repo})
	if p.Source == nil || p.Source.Name == "" {
		return out
	}
	src := *p.Source
	src.Kind, src.Version = clair.Source, cmp.Or(src.Version, p.Version)
	src.Arch, src.Module = p.Arch, p.Module
	return append(out, Record{&src, dist, repo})
}

// packageIDs lists the packages of a report in the order of their ids.
func packageIDs(r *clair.IndexReport) []string {
	return slices.Sorted(maps.Keys(r.Packages))
}
