package version

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"oriel/clair"
)

// pep440Pattern is the grammar of PEP 440, appendix B, in lower case, without
// local labels.
var pep440Pattern = regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` + // epoch, release
	`(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?([0-9]+)?)?` + // pre-release
	`(?:-([0-9]+)|[-_.]?(?:post|rev|r)[-_.]?([0-9]*))?` + // post-release
	`(?:[-_.]?(dev)[-_.]?([0-9]+)?)?$`) // development release

// normalizePEP440 returns a version of PEP 440 as Clair normalizes it
// (claircore:pkg/pep440/version.go): five numbers of the release, and what it is
// before and after. A local label does not count.
func normalizePEP440(text string) (n clair.NormalizedVersion, ok bool) {
	text, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(text)), "+")
	m := pep440Pattern.FindStringSubmatch(text)
	if m == nil {
		return n, false
	}
	ok = true
	number := func(text string) int32 {
		if text == "" {
			return 0
		}
		v, err := strconv.ParseInt(text, 10, 32)
		ok = ok && err == nil
		return int32(v)
	}
	n.Kind = "pep440"
	n.V[0] = number(m[1])
	for i, p := range strings.Split(m[2], ".") {
		if v := number(p); i < 5 {
			n.V[1+i] = v
		}
	}
	switch m[3] {
	case "a", "alpha":
		n.V[6] = -3
	case "b", "beta":
		n.V[6] = -2
	case "c", "rc", "pre", "preview":
		n.V[6] = -1
	}
	n.V[7] = number(m[4])
	n.V[8] = number(m[5] + m[6])
	switch dev := number(m[8]); {
	case dev == 0:
	case n.V[8] != 0 || n.V[6] != 0:
		n.V[9] = -dev
	default:
		n.V[6] = math.MinInt32 + dev
	}
	if !ok {
		return clair.NormalizedVersion{}, false
	}
	return n, true
}
