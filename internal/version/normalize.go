package version

import (
	"strconv"
	"strings"

	"oriel/clair"
)

// Normalize gives a semantic version in Clair's form of ten numbers, which
// has no place for a pre-release. ok is false for other schemes and for what
// does not fit, such as a number over 31 bits.
func Normalize(s Scheme, text string) (n clair.NormalizedVersion, ok bool) {
	if e, known := clair.EcosystemByRepository(string(s)); !known || !e.Semver {
		return n, false
	}
	if s == "go" {
		text = goSemver(text)
	}
	text = strings.TrimPrefix(text, "v")
	if i := strings.IndexAny(text, "-+"); i >= 0 {
		text = text[:i]
	}
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return n, false
	}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return clair.NormalizedVersion{}, false
		}
		n.V[i+1] = int32(v)
	}
	n.Kind = "semver"
	return n, true
}
