package osv

import (
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/cpe"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/severity"
)

// distroPlace is the place of packages of a distribution's OSV ecosystem.
type distroPlace struct {
	dist *clair.Distribution
	// repo is set if rows are matched by repository: Red Hat's CPEs.
	repo *clair.Repository
	// scheme is the ordering of versions.
	scheme string
	// kind is the kind of the packages in records: binary or source packages.
	kind string
}

// binaryNames are the distributions whose OSV records name binary packages;
// the others name source packages. Nothing writes to it.
var binaryNames = [...]string{"almalinux", "rhel", "wolfi", "chainguard", "minimos", "photon"}

// placeOfRelease finds the place of packages of a distribution's ecosystem.
// Streams of a release with packages of the same names but other versions,
// such as Ubuntu's FIPS, are not part of it and have no place.
func placeOfRelease(ecosystem string) (distroPlace, bool) {
	if suffix, ok := strings.CutPrefix(ecosystem, "Red Hat:"); ok && suffix != "" {
		return placeOfRedHat(suffix)
	}
	r, ok := distro.ReleaseByName(ecosystem)
	if !ok {
		return distroPlace{}, false
	}
	at := distroPlace{dist: r.Distribution(), scheme: r.Scheme, kind: clair.Source}
	if id, _, _ := strings.Cut(r.Platform, ":"); slices.Contains(binaryNames[:], id) {
		at.kind = clair.Binary
	}
	return at, true
}

// placeOfRedHat reads an ecosystem that is a CPE without its beginning, such
// as "enterprise_linux:9::baseos". The part of the CPE, operating system or
// application, is missing, too: the base of a release is the former. Products
// without a release have no RPMs, and no place.
func placeOfRedHat(suffix string) (distroPlace, bool) {
	part := "a"
	fields := strings.Split(suffix, ":")
	base := len(fields) < 4 || slices.Contains([]string{"", "baseos", "server", "client", "workstation", "computenode"}, fields[3])
	extra := strings.HasPrefix(fields[0], "rhel_extras")
	if base && !extra && (strings.HasPrefix(fields[0], "enterprise_linux") || strings.HasPrefix(fields[0], "rhel_")) {
		part = "o"
	}
	product, err := cpe.Parse("cpe:/" + part + ":redhat:" + suffix)
	if err != nil {
		return distroPlace{}, false
	}
	name := product.String()
	r, ok := distro.ReleaseByCPE(name)
	return distroPlace{
		dist: r.Distribution(), repo: &clair.Repository{Key: clair.RHELKey, Name: name, CPE: name}, scheme: "rpm", kind: clair.Binary,
	}, ok
}

// distribute converts a record's row to one of a distribution.
func (r *osvRecord) distribute(v *clair.Vulnerability) {
	name, aliases := nameOfRecord(r.ID, r.Aliases, r.Upstream, r.Related)
	for _, a := range v.Aliases {
		if a != name {
			aliases = feed.AppendOnce(aliases, a)
		}
	}
	slices.Sort(aliases)
	v.Name, v.Aliases = name, aliases
	word, module := summaryOf(r.Summary)
	if v.Severity == "" {
		v.Severity, v.NormalizedSeverity = word, severity.Of(word)
	}
	if ofModule(v.FixedInVersion) {
		v.Package.Module = module
	}
}

// nameOfRecord returns the name and the aliases of a distribution's OSV
// record. A record of one CVE in one distribution ("UBUNTU-CVE-2022-3602")
// gets the CVE's name, as in the distributions' own feeds; an advisory keeps
// its id. The CVEs that an advisory fixes, which OSV lists as upstream or
// related and not as aliases, are aliases here, so that it can be found and
// enriched by them.
func nameOfRecord(id string, lists ...[]string) (name string, aliases []string) {
	name = id
	if _, cve, ok := strings.Cut(id, "-CVE-"); ok && len(feed.FindCVEs("CVE-"+cve)) == 1 {
		name = "CVE-" + cve
		aliases = append(aliases, id)
	}
	for _, list := range lists {
		for _, other := range list {
			for _, cve := range feed.FindCVEs(other) {
				if cve != name {
					aliases = feed.AppendOnce(aliases, cve)
				}
			}
		}
	}
	slices.Sort(aliases)
	return name, aliases
}

// summaryForm is how the rebuilds of Red Hat's distribution begin a summary:
// "Important: nodejs:18 security update".
var summaryForm = regexp.MustCompile(`^(Critical|Important|Moderate|Low): (?:([A-Za-z0-9_.+-]+:[A-Za-z0-9_.+-]+) )?`)

// summaryOf returns the severity and the module stream in a summary, or "" if
// it has none. Packages of two streams have one name, so a fix in one means
// nothing for the other.
func summaryOf(summary string) (severity, module string) {
	m := summaryForm.FindStringSubmatch(summary)
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

// ofModule reports whether a version belongs to a package that was built in a
// module.
func ofModule(version string) bool { return strings.Contains(version, ".module") }
