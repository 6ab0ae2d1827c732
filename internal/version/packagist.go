package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// parsePackagist orders versions as Composer does, which normalizes them before
// it calls PHP's version_compare: build metadata is ignored, and a release has
// four numbers, so 1.10 and 1.10.0 are equal. A branch with a number is the end
// of its series: 6.x-dev comes after every 6.y. Named branches such as dev-main
// have no order.
// https://getcomposer.org/doc/articles/versions.md
func parsePackagist(s string) (semantic.Version, error) {
	s, _, _ = strings.Cut(s, "+")
	if !composerVersion.MatchString(s) {
		return nil, errSyntax()
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "v"), "V")
	n, label := cutNumbers(s)
	release := s[:len(s)-len(label)]
	if branch, ok := strings.CutSuffix(strings.ToLower(label), "-dev"); ok && isBranch(branch) {
		for ; n < 4; n++ {
			release += ".9999999"
		}
		return semantic.ParsePackagistVersion(release + "-dev"), nil
	}
	if strings.Contains(strings.ToLower(label), ".x") {
		return nil, errSyntax() // a range
	}
	for ; n < 4; n++ {
		release += ".0"
	}
	return semantic.ParsePackagistVersion(release + label), nil
}

// isBranch reports whether a label is the rest of a branch's name: ".x", ".x.x".
func isBranch(s string) bool {
	return s != "" && strings.ReplaceAll(s, ".x", "") == ""
}
