package render

import (
	"io"
	"maps"
	"slices"

	"oriel/clair"
)

// JSON writes Clair's vulnerability report, and what the other formats have in
// addition: the counts of findings, the places that are not covered, the
// packages that could not be matched or compared, and the gates that failed.
func JSON(w io.Writer, r *Report) error {
	s := newStream(w)
	s.open("", "{")
	s.put("manifest_hash", r.Data.Hash)
	putMap(s, "packages", r.Data.Packages)
	putMap(s, "distributions", r.Data.Distributions)
	putMap(s, "repository", r.Data.Repositories)
	putMap(s, "environments", r.Data.Environments)
	putMap(s, "vulnerabilities", r.Data.Vulnerabilities)
	putMap(s, "package_vulnerabilities", r.Data.PackageVulnerabilities)
	// A list and not a map: Quay reads the first key.
	s.put("enrichments", r.Data.Enrichments)
	s.put("counts", countsOf(r))
	s.put("not_covered", notCovered(r))
	s.put("places", emptyIfNil(r.Places))
	s.put("unmatched", emptyIfNil(r.Unmatched))
	s.put("incomparable", emptyIfNil(r.Incomparable))
	s.put("warnings", emptyIfNil(r.Warnings()))
	s.put("gate", map[string][]GateFailure{"failed": emptyIfNil(r.Failed)})
	s.close("\n}")
	return s.done()
}

// putMap writes an object, with one member in memory at a time.
func putMap[V any](s *stream, key string, m map[string]V) {
	s.open(key, "{")
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s.put(k, m[k])
	}
	s.close("}")
}

// counts are the counts of a report. An advisory is not a finding: one finding
// may have several.
type counts struct {
	Findings       int            `json:"findings"`
	BySeverity     map[string]int `json:"by_severity"`
	KnownExploited int            `json:"known_exploited"`
	Fixable        int            `json:"fixable"`
	FilteredOut    int            `json:"filtered_out"`
}

func countsOf(r *Report) counts {
	c := counts{
		Findings:       len(r.Findings),
		BySeverity:     map[string]int{},
		KnownExploited: r.Exploited,
		Fixable:        r.Fixable,
		FilteredOut:    r.Hidden,
	}
	for s, n := range r.Counts {
		c.BySeverity[clair.Severity(s).String()] = n
	}
	return c
}

// emptyIfNil returns a list that is written as [] and not as null.
func emptyIfNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// uncoveredPlace is a place of the list not_covered.
type uncoveredPlace struct {
	Place    string           `json:"place"`
	Packages int              `json:"packages"`
	Reason   clair.NotCovered `json:"reason"`
	Hint     string           `json:"hint"`
}

func notCovered(r *Report) []uncoveredPlace {
	out := []uncoveredPlace{}
	for _, p := range r.NotCovered {
		out = append(out, uncoveredPlace{p.Name, p.Packages, p.Reason, p.Hint})
	}
	return out
}
