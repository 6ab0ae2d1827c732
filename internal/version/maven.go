package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseMaven corrects the library in two respects, to agree with Maven's
// ComparableVersion. A "Final" (or a synonym) in the middle of a version is
// ignored, so 4.1.71.Final.1 is newer than 4.1.71.Final. A zero between a hyphen
// and a qualifier is ignored, too, so 1-0.alpha is older than 1.
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
