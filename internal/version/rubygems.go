package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parseRubyGems treats a dash as the start of a pre-release, as Gem::Version
// does: 1.0-alpha is 1.0.pre.alpha.
func parseRubyGems(s string) (semantic.Version, error) {
	return always(semantic.ParseRubyGemsVersion)(strings.ReplaceAll(s, "-", ".pre."))
}
