package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseGo reads a module version, with or without its "v", or a version of the
// Go distribution as the toolchain spells it: go1.21.3, go1.21rc2.
func parseGo(s string) (semantic.Version, error) {
	return always(semantic.ParseSemverVersion)(goSemver(s))
}

// goSemver turns the toolchain's spelling into the semantic version that the
// Go vulnerability database uses: go1.21rc2 is 1.21.0-rc.2.
func goSemver(s string) string {
	rest, ok := strings.CutPrefix(s, "go")
	if !ok {
		return strings.TrimPrefix(s, "v")
	}
	rest, _, _ = strings.Cut(rest, " ") // "go1.21.3 X:boringcrypto"
	for _, label := range []string{"rc", "beta"} {
		if release, n, ok := strings.Cut(rest, label); ok {
			for strings.Count(release, ".") < 2 {
				release += ".0"
			}
			return release + "-" + label + "." + n
		}
	}
	return rest
}
