package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseMaven mends two things, as Maven's ComparableVersion has them. A "Final"
// (or its synonyms) in the middle of a version counts as nothing, so
// 4.1.71.Final.1 comes after 4.1.71.Final. And so does a zero that a qualifier
// follows after a hyphen, so 1-0.alpha comes before 1. The library takes both
// the other way.
func parseMaven(s string) (semantic.Version, error) {
	parts := strings.Split(s, ".")
	out := make([]string, 0, len(parts))
	for i := 0; i < len(parts); i++ {
		p := parts[i]
		switch strings.ToLower(p) {
		case "final", "ga", "release":
			if i > 0 && i < len(parts)-1 {
				p = "0"
			}
		}
		if head, ok := strings.CutSuffix(p, "-0"); ok && i < len(parts)-1 && parts[i+1] != "" && isLetter(parts[i+1][0]) {
			i++
			p = head + "-" + parts[i]
		}
		out = append(out, p)
	}
	return semantic.ParseMavenVersion(strings.Join(out, ".")), nil
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
