package match

import (
	"cmp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

// A platform has the list that a scanner reads: a release of a distribution
// ("debian:12"), a language's package index ("pypi"), or Red Hat's container
// images. Its list has every row that a rule could find to affect a package
// there, so that a scanner needs no other.

const (
	// rhelPrefix begins the platforms of Red Hat Enterprise Linux. Without a
	// number it means all of them: rows for a product whose CPE names no
	// release, such as openshift:4.
	rhelPrefix = "rhel"
	// rhccPlatform is the platform of images in Red Hat's container catalogue,
	// which advisories are about as if each image were a package.
	rhccPlatform = "rhcc"
	// anyRHEL is the platform of a record whose release cannot be determined.
	// Only rows that are in the list of every release can affect it.
	anyRHEL = "rhel:9"
)

// PlatformNamed returns the platform that a text names in any of the ways that
// the tables of releases and ecosystems know. A release that is derived from
// another has the platform of that: "centos:7" is "rhel:7".
func PlatformNamed(name string) (string, bool) {
	name = strings.TrimSpace(name)
	if strings.EqualFold(name, rhccPlatform) {
		return rhccPlatform, true
	}
	for _, e := range clair.Ecosystems() {
		if strings.EqualFold(name, e.Repository) || strings.EqualFold(name, e.OSV) {
			return e.Repository, true
		}
	}
	r, ok := distro.ReleaseByName(name)
	return releasePlatform(r), ok
}

// releasePlatform returns the platform whose advisories hold for a release.
func releasePlatform(r distro.Release) string { return cmp.Or(r.Of, r.Platform) }

// PlatformsFor returns the platforms whose lists together have every row that
// can affect the packages of an index report.
func PlatformsFor(index *clair.IndexReport) []string {
	seen := map[[2]any]bool{}
	var out []string
	for _, r := range index.Records() {
		if at := [2]any{r.Dist, r.Repo}; !seen[at] {
			seen[at] = true
			if name := recordPlatform(r.Dist, r.Repo); name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// recordPlatform returns the platform of packages with a distribution and a
// repository, "" if no rule judges them. It uses the same parts as placesOf.
func recordPlatform(dist *clair.Distribution, repo *clair.Repository) string {
	release, ok := distro.ReleaseOf(dist)
	if repo != nil {
		switch repo.Key {
		case clair.RHELKey:
			if name := cpePlatform(cmp.Or(repo.CPE, repo.Name)); name != rhelPrefix {
				return name
			}
			if name := releasePlatform(release); strings.HasPrefix(name, rhelPrefix+":") {
				return name
			}
			return anyRHEL
		case clair.RHCCKey:
			return rhccPlatform
		}
		if _, ok := clair.EcosystemByRepository(repo.Name); ok {
			return repo.Name
		}
	}
	if !ok {
		return ""
	}
	return releasePlatform(release)
}

// cpePlatform returns the release that a CPE names, or all of them.
func cpePlatform(cpe string) string {
	if r, ok := distro.ReleaseByCPE(cpe); ok && strings.HasPrefix(r.Platform, rhelPrefix+":") {
		return r.Platform
	}
	return rhelPrefix
}

// PlatformsOf returns the platforms whose lists include the rows with a
// distribution and a repository, for Belongs to compare.
func PlatformsOf(dist *clair.Distribution, repo *clair.Repository) []string {
	var out []string
	if repo != nil {
		switch repo.Key {
		case clair.RHELKey:
			out = append(out, cpePlatform(repo.Name))
		case clair.RHCCKey:
			out = append(out, rhccPlatform)
		}
		if _, ok := clair.EcosystemByRepository(repo.Name); ok {
			out = append(out, repo.Name)
		}
	}
	if dist == nil {
		return out
	}
	if r, ok := distro.ReleaseOf(dist); ok {
		out = append(out, releasePlatform(r))
	}
	// A rule compares some fields only, and those may name another release
	// than all of them together do.
	if r, ok := distro.ReleaseOf(compared(dist)); ok {
		out = append(out, releasePlatform(r))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// compared returns a distribution with only the fields that the rule for its ID
// compares.
func compared(d *clair.Distribution) *clair.Distribution {
	fields := byVersionID
	if rule, ok := distributionRules[d.DID]; ok {
		fields = rule.fields
	}
	out := &clair.Distribution{}
	for _, f := range fields {
		switch f {
		case clair.DistributionDID:
			out.DID = d.DID
		case clair.DistributionName:
			out.Name = d.Name
		case clair.DistributionVersion:
			out.Version = d.Version
		case clair.DistributionVersionID:
			out.VersionID = d.VersionID
		case clair.DistributionPrettyName:
			out.PrettyName = d.PrettyName
		}
	}
	return out
}

// Belongs reports whether the list of a platform includes the rows of one of
// PlatformsOf's platforms. Releases of three digits, which there will not be,
// have no rows but their own: else anybody could name any number of platforms.
func Belongs(of, platform string) bool {
	return of == platform ||
		of == rhelPrefix && strings.HasPrefix(platform, rhelPrefix+":") && len(platform) <= len(rhelPrefix+":99")
}

// IsPlatform reports whether one of PlatformsOf's platforms is a single one, and
// not several.
func IsPlatform(name string) bool { return name != rhelPrefix }
