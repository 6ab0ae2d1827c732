package match

import (
	"cmp"
	"strings"

	"oriel/clair"
	"oriel/version"
)

// rule is how the packages of one kind of place are matched.
type rule struct {
	// name is what a finding's explanation calls the rule; Clair's name for
	// its matcher where there is one.
	name string
	// fields are compared literally, and narrow down what is looked up.
	fields []clair.Field
	// affected decides what the fields leave open.
	affected func(*clair.Vulnerability, *target) (bool, error)
}

// The keys of repositories that Clair's Red Hat matchers look for.
const (
	rhelRepository = "rhel-cpe-repository"
	rhccRepository = "rhcc-container-repository"
)

// The rules that a repository selects.
var (
	rhelRule     = rule{"rhel", []clair.Field{clair.PackageModule, clair.RepositoryKey}, rhelAffected}
	rhccRule     = rule{"rhel-container-matcher", []clair.Field{clair.RepositoryKey}, rhccAffected}
	languageRule = rule{"language", []clair.Field{clair.RepositoryName}, boundsAffected}
)

// The fields by which Clair's matchers tell releases apart.
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
	"ol":            {"oracle", byNameVersion, modularAffected},
	"photon":        {"photon", byNameVersion, rpmAffected},
	"amzn":          {"aws-matcher", byVersionID, rpmAffected},
}

// ruleOf gives the rule for a release: its distribution's, or one by its
// package manager.
func ruleOf(r clair.Release, d *clair.Distribution) rule {
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

// rhelCPEs name the repositories that every system of a Red Hat Enterprise
// Linux release has, for records that do not say which theirs are: a host's
// packages, or those of an SBOM.
func rhelCPEs(release string) []string {
	switch release {
	case "5", "6", "7":
		return []string{"cpe:/o:redhat:enterprise_linux:" + release + "::server"}
	}
	return []string{
		"cpe:/o:redhat:enterprise_linux:" + release + "::baseos",
		"cpe:/a:redhat:enterprise_linux:" + release + "::appstream",
		"cpe:/a:redhat:enterprise_linux:" + release + "::crb",
	}
}

// newTargets prepares a record under the rule that judges it; none where no
// rule does. A record stands for several where its repository is one of some.
func newTargets(r Record) []*target {
	if r.Package == nil || r.Package.Name == "" || r.Package.NormalizedVersion == unmatchable {
		return nil
	}
	if r.Repo != nil {
		switch r.Repo.Key {
		case rhelRepository:
			return []*target{newTarget(r, rhelRule, version.RPM)}
		case rhccRepository:
			return []*target{newTarget(r, rhccRule, version.RPM)}
		}
		if _, ok := clair.EcosystemByRepository(r.Repo.Name); ok {
			return []*target{newTarget(r, languageRule, version.Scheme(r.Repo.Name))}
		}
	}
	release, ok := clair.ReleaseOf(r.Dist)
	if !ok {
		return nil
	}
	if parent, ok := clair.ReleaseByName(release.Of); ok {
		release = parent // whose advisories hold for this one
	}
	if number, ok := strings.CutPrefix(release.Platform, "rhel:"); ok {
		var out []*target
		for _, name := range rhelCPEs(number) {
			r.Repo = &clair.Repository{Key: rhelRepository, Name: name}
			out = append(out, newTarget(r, rhelRule, version.RPM))
		}
		return out
	}
	r.Dist = release.Distribution()
	return []*target{newTarget(r, ruleOf(release, r.Dist), version.Scheme(release.Scheme))}
}

// newTarget prepares a record for a rule.
func newTarget(r Record, rule rule, scheme version.Scheme) *target {
	t := &target{Record: r, rule: rule, scheme: scheme}
	if r.Repo != nil {
		t.ecosystem, _ = clair.EcosystemByRepository(r.Repo.Name)
	}
	t.key = clair.PackageKey{Name: t.ecosystem.PackageName(r.Package.Name), Kind: cmp.Or(r.Package.Kind, clair.Binary)}
	for _, f := range rule.fields {
		t.where = append(t.where, clair.Constraint{Field: f, Value: value(f, r.Package, r.Dist, r.Repo)})
	}
	return t
}

// value is what a record's or a vulnerability's parts say of a field.
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
