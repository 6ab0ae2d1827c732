package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseGo parses a module version, with or without its "v", or a version of the
// Go distribution as the toolchain spells it: go1.21.3, go1.21rc2.
func parseGo(s string) (semantic.Version, error) { return parseSemver(goSemver(s)) }

// goSemver returns the semantic version that the Go vulnerability database uses
// for a version of the toolchain: go1.21rc2 is 1.21.0-rc.2. Other text after
// the numbers is not a pre-release there: experiments ("go1.26.8-X:nodwarf5"),
// the builds of vendors ("go1.22.5-1", "go1.21.9 (Red Hat 1.21.9-2.el9_4)") and
// of BoringCrypto ("go1.19.5b5").
func goSemver(s string) string {
	rest, ok := strings.CutPrefix(s, "go")
	if !ok {
		s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-X:")
		return s
	}
	n, label := cutNumbers(rest)
	release := rest[:len(rest)-len(label)]
	if n == 0 {
		return rest
	}
	for ; n < 3; n++ {
		release += ".0"
	}
	for _, word := range []string{"rc", "beta"} {
		if after, ok := strings.CutPrefix(label, word); ok {
			number, _ := cutDigits(after)
			return release + "-" + word + "." + number
		}
	}
	return release
}

// cutDigits cuts the digits from the start of a text.
func cutDigits(s string) (digits, rest string) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	return s[:end], s[end:]
}
