package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parsePackagist orders versions as Composer does, which normalizes them before
// it calls PHP's version_compare: build metadata is ignored, and a release has
// four numbers, so 1.10 and 1.10.0 are equal.
// https://getcomposer.org/doc/articles/versions.md
func parsePackagist(s string) (semantic.Version, error) {
	s, _, _ = strings.Cut(s, "+")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "v"), "V")
	end := 0
	for end < len(s) && (s[end] == '.' || isDigit(s[end])) {
		end++
	}
	release := strings.TrimRight(s[:end], ".")
	if release != "" {
		for strings.Count(release, ".") < 3 {
			release += ".0"
		}
		s = release + s[len(strings.TrimRight(s[:end], ".")):]
	}
	return always(semantic.ParsePackagistVersion)(s)
}
