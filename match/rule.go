package match

import (
	"cmp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/version"
)

// rule is how the packages of one kind of place are matched.
type rule struct {
	// name is the name of the rule in the explanation of a finding: that of
	// Clair's matcher, if there is one.
	name string
	// fields are compared literally, and narrow down the lookup.
	fields []clair.Field
	// affected decides what the fields leave open.
	affected func(*clair.Vulnerability, *target) (bool, error)
}

// The rules that a repository selects.
var (
	rhelRule     = rule{"rhel", []clair.Field{clair.PackageModule, clair.RepositoryKey}, rhelAffected}
	rhccRule     = rule{"rhel-container-matcher", []clair.Field{clair.RepositoryKey}, rhccAffected}
	languageRule = rule{"language", []clair.Field{clair.RepositoryName}, boundsAffected}
)

// The fields by which Clair's matchers distinguish releases.
var (
	byDID         = []clair.Field{clair.DistributionDID}
	byVersionID   = []clair.Field{clair.DistributionDID, clair.DistributionVersionID}
	byNameID      = []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersionID}
	byNameVersion = []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersion}
	byPrettyName  = []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionPrettyName}
)

// distributionRules are the rules of distributions that Clair knows, by their
// os-release ID. Nothing writes to it.
var distributionRules = map[string]rule{
	"alpine":        {"alpine-matcher", byPrettyName, fixedAffected},
	"debian":        {"debian-matcher", byNameID, fixedAffected},
	"ubuntu":        {"ubuntu-matcher", byNameID, ubuntuAffected},
	"sles":          {"suse", byNameVersion, rpmAffected},
	"opensuse-leap": {"suse", byNameVersion, rpmAffected},
	"ol":            {"oracle", byNameVersion, oracleAffected},
	"photon":        {"photon", byNameVersion, rpmAffected},
	"amzn":          {"aws-matcher", byVersionID, amazonAffected},
}

// ruleOf returns the rule for a release: its distribution's, or one by its
// package manager.
func ruleOf(r distro.Release, d *clair.Distribution) rule {
	if known, ok := distributionRules[d.DID]; ok {
		return known
	}
	fields := byVersionID
	if d.VersionID == "" {
		fields = byDID // it has no releases
	}
	if version.Scheme(r.Scheme) == version.RPM {
		return rule{d.DID, fields, modularAffected}
	}
	return rule{d.DID, fields, fixedAffected}
}

// place is the rule that judges the records of a distribution and a repository,
// with both as the rule compares them.
type place struct {
	rule   rule
	scheme version.Scheme
	dist   *clair.Distribution
	repo   *clair.Repository
	// products are the CPEs of Red Hat's repositories.
	products *products
}

// placer finds the places of records, and remembers them by the pointers of
// their distribution and repository, which the records of a report share.
type placer struct {
	places map[[2]any][]place
	cpes   cpes
}

func newPlacer() placer { return placer{map[[2]any][]place{}, cpes{}} }

// targets prepares a record for the rule that judges it. It returns none if no
// rule does, and several if the record's repository may be any of several.
func (p placer) targets(r clair.Record) []*target {
	if r.Package == nil || r.Package.Name == "" || r.Package.NormalizedVersion == clair.Unmatchable {
		return nil
	}
	key := [2]any{r.Dist, r.Repo}
	places, known := p.places[key]
	if !known {
		places = p.placesOf(r.Dist, r.Repo)
		p.places[key] = places
	}
	var out []*target
	for _, pl := range places {
		out = append(out, newTarget(r.Package, pl))
	}
	return out
}

func (p placer) placesOf(dist *clair.Distribution, repo *clair.Repository) []place {
	if repo != nil {
		switch repo.Key {
		case clair.RHELKey:
			return []place{{rhelRule, version.RPM, dist, repo, productsOf(p.cpes, repo)}}
		case clair.RHCCKey:
			return []place{{rhccRule, version.RPM, dist, repo, productsOf(p.cpes, repo)}}
		}
		if _, ok := clair.EcosystemByRepository(repo.Name); ok {
			return []place{{languageRule, version.Scheme(repo.Name), dist, repo, nil}}
		}
	}
	release, ok := distro.ReleaseOf(dist)
	if !ok {
		return nil
	}
	if parent, ok := distro.ReleaseByName(release.Of); ok {
		release = parent // whose advisories hold for this one
	}
	if number, ok := strings.CutPrefix(release.Platform, "rhel:"); ok {
		return []place{{rhelRule, version.RPM, dist, &clair.Repository{Key: clair.RHELKey}, newProducts(p.cpes, rhelCPEs(number)...)}}
	}
	dist = release.Distribution()
	return []place{{ruleOf(release, dist), version.Scheme(release.Scheme), dist, repo, nil}}
}

// newTarget prepares a package for the rule of its place.
func newTarget(p *clair.Package, at place) *target {
	t := &target{Record: clair.Record{Package: p, Dist: at.dist, Repo: at.repo}, rule: at.rule, scheme: at.scheme, products: at.products}
	if at.repo != nil {
		t.ecosystem, _ = clair.EcosystemByRepository(at.repo.Name)
	}
	t.key = clair.PackageKey{Name: t.ecosystem.PackageName(p.Name), Kind: cmp.Or(p.Kind, clair.Binary)}
	for _, f := range at.rule.fields {
		t.where = append(t.where, clair.Constraint{Field: f, Value: value(f, p, at.dist, at.repo)})
	}
	return t
}

// value returns the value of a field of a record or a vulnerability.
func value(f clair.Field, p *clair.Package, d *clair.Distribution, r *clair.Repository) string {
	if d == nil {
		d = &clair.Distribution{}
	}
	if r == nil {
		r = &clair.Repository{}
	}
	switch f {
	case clair.DistributionDID:
		return d.DID
	case clair.DistributionName:
		return d.Name
	case clair.DistributionVersion:
		return d.Version
	case clair.DistributionVersionID:
		return d.VersionID
	case clair.DistributionPrettyName:
		return d.PrettyName
	case clair.RepositoryName:
		return r.Name
	case clair.RepositoryKey:
		return r.Key
	case clair.PackageModule:
		return p.Module
	}
	return ""
}
