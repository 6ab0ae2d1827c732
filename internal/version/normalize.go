package version

import (
	"strconv"
	"strings"

	"oriel/clair"
)

// Normalize returns a semantic version or a version of PyPI in Clair's form of
// ten numbers. That form of a semantic version has no pre-release. ok is false
// for other schemes and if the version does not fit, such as for a number of
// more than 31 bits.
func Normalize(s Scheme, text string) (n clair.NormalizedVersion, ok bool) {
	if s == "pypi" {
		return normalizePEP440(text)
	}
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
