package index

import (
	"strings"

	"oriel/clair"
	"oriel/internal/version"
)

// Complete fills in the parts of an index report that Clair's own programs need
// and that may be missing, because a client or an earlier version of Oriel made it.
//
// Every package has a source, which is empty if it is unknown: Clair's matcher
// dereferences it (claircore:datastore/postgres/querybuilder.go). A package of an
// ecosystem has the normalized version that Clair's readers write, and one of
// PyPI its name by PEP 503: Clair's matcher for Python ignores packages without
// the one and finds no advisories without the other.
//
// Complete changes nothing in a complete report.
func Complete(r *clair.IndexReport) {
	unknown := &clair.Package{} // shared, as there may be many
	for id, p := range r.Packages {
		if p == nil {
			continue
		}
		if p.Source == nil || p.Source.Name == "" {
			p.Source = unknown
		}
		if e, ok := ecosystemOf(r, id); ok {
			completeLanguagePackage(p, e)
		}
	}
}

// ecosystemOf returns the ecosystem in which a package was found.
func ecosystemOf(r *clair.IndexReport, id string) (clair.Ecosystem, bool) {
	for _, env := range r.Environments[id] {
		for _, repo := range env.RepositoryIDs {
			if found := r.Repositories[repo]; found != nil {
				if e, ok := clair.EcosystemByRepository(found.Name); ok {
					return e, true
				}
			}
		}
	}
	return clair.Ecosystem{}, false
}

func completeLanguagePackage(p *clair.Package, e clair.Ecosystem) {
	missing := p.NormalizedVersion == ""
	if e.Repository == "pypi" {
		p.Name = e.PackageName(p.Name)
		missing = !strings.HasPrefix(p.NormalizedVersion, "pep440:") && p.NormalizedVersion != clair.Unmatchable
	}
	if missing {
		if n, ok := version.Normalize(version.Scheme(e.Repository), p.Version); ok {
			p.NormalizedVersion = n.String()
		}
	}
}
