package clair

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Unmatchable is the normalized version of a package that is never matched,
// such as one of a layer that only records a build.
const Unmatchable = "unmatchable"

// Record is one package in one place: a package as it is installed, or the
// source it was built from, with the distribution and the repository it came
// from. Matching judges records, and the index keeps them. Dist and Repo may
// be nil.
type Record struct {
	Package *Package
	Dist    *Distribution
	Repo    *Repository
}

// Records returns the records of an index report that are matched, each with
// the id of its package, in the order of those ids: every package and its
// source, in each of its environments and repositories, and for signed binaries
// also the source that was signed. Packages have a kind
// and their ecosystem's one spelling of a name (Ecosystem.PackageName), and a
// source has the version, architecture and module of its binary if it names
// none. Records of a package share nothing with the report but their Dist and
// Repo, which are the report's own pointers.
//
// The index of manifests keeps records: if Records changes, a step of
// store/migrate has to bring the stored manifests up to date.
func (r *IndexReport) Records() iter.Seq2[string, Record] {
	return func(yield func(string, Record) bool) {
		for _, id := range slices.Sorted(maps.Keys(r.Packages)) {
			for _, rec := range r.recordsOf(id) {
				if !yield(id, rec) {
					return
				}
			}
		}
	}
}

func (r *IndexReport) recordsOf(id string) []Record {
	p := r.Packages[id]
	if p == nil || p.Name == "" || p.NormalizedVersion == Unmatchable {
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

func appendRecords(out []Record, p *Package, dist *Distribution, repo *Repository) []Record {
	own := *p
	own.Kind = cmp.Or(own.Kind, Binary)
	own.Name = repo.PackageName(own.Name)
	out = append(out, Record{&own, dist, repo})
	if p.Source == nil || p.Source.Name == "" {
		return out
	}
	src := *p.Source
	src.Kind, src.Version = Source, cmp.Or(src.Version, p.Version)
	src.Arch, src.Module = p.Arch, p.Module
	src.Name = repo.PackageName(src.Name)
	out = append(out, Record{&src, dist, repo})
	if name, version, ok := unsignedSource(p, &src); ok {
		unsigned := src
		unsigned.Name, unsigned.Version = name, version
		out = append(out, Record{&unsigned, dist, repo})
	}
	return out
}
