// Package finding decides which advisories of one package are one vulnerability,
// so that it is listed and counted once: a CVE in several repositories, the GHSA
// and PYSEC records of one CVE, the ranges of one OSV record.
//
// It errs on the side of two findings. Advisories that fix several CVEs at once
// (RHSA, DSA, USN) are one vulnerability only with those that name exactly the
// same CVEs.
package finding

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/version"
)

// Group partitions the rows of one package into groups of one vulnerability
// each. The most severe of a group comes first, the groups in the order
// of the names of their first. It does not change the list.
func Group(list []*clair.Vulnerability) [][]*clair.Vulnerability {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b *clair.Vulnerability) int {
		return cmp.Or(
			cmp.Compare(b.NormalizedSeverity, a.NormalizedSeverity),
			strings.Compare(a.Name, b.Name),
			strings.Compare(a.ID, b.ID),
		)
	})
	var groups []*group
	known := groupIndex{}
	for _, v := range sorted {
		one := newGroup(v)
		into := known.find(one)
		if into == nil {
			into = one
			into.at = len(groups)
			groups = append(groups, into)
		} else {
			into.merge(one)
		}
		known.add(into, one)
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return strings.Compare(a.rows[0].Name, b.rows[0].Name) })
	out := make([][]*clair.Vulnerability, 0, len(groups))
	for _, g := range groups {
		out = append(out, g.rows)
	}
	return out
}

// groupIndex finds groups by the ids that make two groups the same: a package
// such as a kernel may have thousands.
type groupIndex map[string][]*group

// The prefixes of keys by the kind of id.
const (
	byName  = "n"
	byAlias = "a"
	byCVEs  = "c"
)

func cvesKey(g *group) string { return byCVEs + strings.Join(g.cves, " ") }

// find returns the first group that is the same as another, nil if there is none.
func (i groupIndex) find(one *group) *group {
	var first *group
	look := func(key string) {
		for _, g := range i[key] {
			if (first == nil || g.at < first.at) && g.same(one) {
				first = g
			}
		}
	}
	for _, name := range one.names {
		look(byName + name)
		look(byAlias + name)
	}
	for _, alias := range one.aliases {
		look(byName + alias)
	}
	if len(one.cves) > 0 {
		look(cvesKey(one))
	}
	return first
}

// add adds a group under the ids of another that is now part of it.
func (i groupIndex) add(g, one *group) {
	put := func(key string) {
		if !slices.Contains(i[key], g) {
			i[key] = append(i[key], g)
		}
	}
	for _, name := range one.names {
		put(byName + name)
	}
	for _, alias := range one.aliases {
		put(byAlias + alias)
	}
	if len(g.cves) > 0 {
		put(cvesKey(g))
	}
}

// group is one vulnerability. All its lists are sorted and have no duplicates,
// except for rows.
type group struct {
	rows []*clair.Vulnerability
	// names are the names of the rows, and aliases all other ids.
	names, aliases []string
	// cves are the CVEs that the rows are about.
	cves []string
	// at is its place in the order in which groups were found.
	at int
}

func newGroup(v *clair.Vulnerability) *group {
	g := &group{rows: []*clair.Vulnerability{v}, names: []string{v.Name}, aliases: set(v.Aliases)}
	if isCVE(v.Name) {
		g.cves = g.names
		return g
	}
	for _, a := range g.aliases {
		if isCVE(a) {
			g.cves = append(g.cves, a)
		}
	}
	return g
}

// same reports whether two groups are the same vulnerability: they share a name,
// are about the same CVEs, or one names the other and at most one knows CVEs.
func (g *group) same(o *group) bool {
	if share(g.names, o.names) {
		return true
	}
	if len(g.cves) > 0 && len(o.cves) > 0 {
		return slices.Equal(g.cves, o.cves)
	}
	return share(g.names, o.aliases) || share(o.names, g.aliases)
}

func (g *group) merge(o *group) {
	g.rows = append(g.rows, o.rows...)
	g.names = set(append(g.names, o.names...))
	g.aliases = set(append(g.aliases, o.aliases...))
	if len(g.cves) == 0 {
		g.cves = o.cves
	}
}

// set returns the members of a list, sorted and each once.
func set(list []string) []string {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// share reports whether two sorted lists have a common member.
func share(a, b []string) bool {
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); ok {
			return true
		}
	}
	return false
}

var cve = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,}$`)

func isCVE(id string) bool { return cve.MatchString(id) }

// Fix returns the version that fixes all rows of a group: the greatest of their
// fixes, "" if none has one.
func Fix(rows []*clair.Vulnerability) string {
	fix := ""
	for _, v := range rows {
		f := v.Fix()
		if fix == "" || f != "" && less(schemeOf(v), fix, f) {
			fix = f
		}
	}
	return fix
}

// schemeOf returns the ordering of the versions of a vulnerability, "" if it is
// not known.
func schemeOf(v *clair.Vulnerability) version.Scheme {
	if v.Repo != nil {
		if _, ok := clair.EcosystemByRepository(v.Repo.Name); ok {
			return version.Scheme(v.Repo.Name)
		}
	}
	if r, ok := distro.ReleaseOf(v.Dist); ok {
		return version.Scheme(r.Scheme)
	}
	return version.RPM // Red Hat's rows have a repository and no distribution
}

// less reports whether a is before b. Versions that cannot be compared are
// equal.
func less(s version.Scheme, a, b string) bool {
	v, err := version.Parse(s, a)
	if err != nil {
		return false
	}
	w, err := version.Parse(s, b)
	if err != nil {
		return false
	}
	c, err := v.Compare(w)
	return err == nil && c < 0
}
