package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseMaven mends one thing: a "Final" (or its synonyms) in the middle of a
// version counts as nothing to Maven's ComparableVersion, so 4.1.71.Final.1
// comes after 4.1.71.Final; the library puts it before.
func parseMaven(s string) (semantic.Version, error) {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		switch strings.ToLower(p) {
		case "final", "ga", "release":
			if i > 0 && i < len(parts)-1 {
				parts[i] = "0"
			}
		}
	}
	return semantic.ParseMavenVersion(strings.Join(parts, ".")), nil
}
