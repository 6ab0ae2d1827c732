package render

import (
	"io"
	"maps"
	"slices"
)

// JSON writes Clair's vulnerability report.
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
