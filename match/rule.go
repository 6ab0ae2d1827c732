package match

import (
	"oriel/clair"
	"oriel/version"
)

// rule is how the packages of one kind of place are matched.
type rule struct {
	// name is what a finding's explanation calls the rule; Clair's name for
	// its matcher where there is one.
	name string
	// applies says whether the rule is the one for a record.
	applies func(Record) bool
	// fields are compared literally, and narrow down what is looked up.
	fields []clair.Field
	// scheme orders the versions; "" where the repository's name does.
	scheme version.Scheme
	// affected decides what the fields leave open.
	affected func(*clair.Vulnerability, *target) (bool, error)
}

// The keys of repositories that Clair's Red Hat matchers look for.
const (
	rhelRepository = "rhel-cpe-repository"
	rhccRepository = "rhcc-container-repository"
)

// rules in the order in which they are tried; the first that applies is the
// only one. Nothing writes to it.
var rules = []rule{
	{
		name: "rhel", applies: repoKey(rhelRepository), scheme: version.RPM, affected: rhelAffected,
		fields: []clair.Field{clair.PackageModule, clair.RepositoryKey},
	},
	{
		name: "rhel-container-matcher", applies: repoKey(rhccRepository), scheme: version.RPM, affected: rhccAffected,
		fields: []clair.Field{clair.RepositoryKey},
	},
	{name: "language", applies: isLanguage, fields: []clair.Field{clair.RepositoryName}, affected: boundsAffected},
	{
		name: "alpine-matcher", applies: dist("alpine", "Alpine Linux"), scheme: version.Alpine, affected: fixedAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionPrettyName},
	},
	{
		name: "debian-matcher", applies: dist("debian", "Debian GNU/Linux"), scheme: version.Debian, affected: fixedAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersionID},
	},
	{
		name: "ubuntu-matcher", applies: dist("ubuntu", "Ubuntu"), scheme: version.Debian, affected: ubuntuAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersionID},
	},
	{
		name: "suse", applies: dist("sles", "opensuse", "opensuse-leap", "SLES", "openSUSE Leap"), scheme: version.RPM, affected: rpmAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersion},
	},
	{
		name: "oracle", applies: dist("ol", "Oracle Linux Server"), scheme: version.RPM, affected: rpmAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersion},
	},
	{
		name: "photon", applies: dist("photon"), scheme: version.RPM, affected: rpmAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionName, clair.DistributionVersion},
	},
	{
		name: "aws-matcher", applies: dist("amzn", "Amazon Linux", "Amazon Linux AMI"), scheme: version.RPM, affected: rpmAffected,
		fields: []clair.Field{clair.DistributionDID, clair.DistributionVersionID},
	},
}

func repoKey(key string) func(Record) bool {
	return func(r Record) bool { return r.Repo != nil && r.Repo.Key == key }
}

// dist tells a distribution by its os-release ID or its name.
func dist(names ...string) func(Record) bool {
	return func(r Record) bool {
		for _, n := range names {
			if r.Dist != nil && (r.Dist.DID == n || r.Dist.Name == n) {
				return true
			}
		}
		return false
	}
}

func isLanguage(r Record) bool {
	if r.Repo == nil {
		return false
	}
	_, ok := clair.EcosystemByRepository(r.Repo.Name)
	return ok
}

// ruleFor finds the rule for a record, nil if none applies.
func ruleFor(r Record) *rule {
	for i := range rules {
		if rules[i].applies(r) {
			return &rules[i]
		}
	}
	return nil
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
