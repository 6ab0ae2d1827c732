package match

import (
	"cmp"
	"slices"

	"oriel/clair"
	"oriel/internal/severity"
)

// Notify returns what each of the manifests of an impact would be told, without
// an id and the manifest; ok is false if there is nothing to tell.
func Notify(i clair.Impact) (n clair.Notification, ok bool) {
	before, after := severity.MostSevere(i.Before), severity.MostSevere(i.After)
	if i.Reader {
		return readerNotice(i.Version, cmp.Or(after, before)), true
	}
	n = clair.Notification{Version: i.Version, Vulnerability: cmp.Or(after, before)}
	switch {
	case before == nil:
		n.Reason = clair.ReasonAdded
		return n, after != nil
	case after == nil:
		n.Reason = clair.ReasonRemoved
		return n, true
	}
	n.Reason, n.Previous = clair.ReasonChanged, before
	changed := before.NormalizedSeverity != after.NormalizedSeverity || !slices.Equal(fixes(i.Before), fixes(i.After))
	return n, changed
}

// fixes returns the versions in which some vulnerabilities are fixed, each
// once, with "" if one of them has no fix.
func fixes(list []*clair.Vulnerability) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.Fix())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readerNotice is about a package as a whole: which of its advisories led to it
// says nothing.
func readerNotice(version string, v *clair.Vulnerability) clair.Notification {
	return clair.Notification{
		Reason: clair.ReasonReader, Version: version,
		Vulnerability: &clair.Vulnerability{Updater: v.Updater, Package: v.Package, Dist: v.Dist, Repo: v.Repo},
	}
}
