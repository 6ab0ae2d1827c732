package version

import (
	"errors"
	"regexp"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// The library orders any text. A text that is not a version of its ecosystem,
// such as the range "^4.17.21", the URL of a repository, a branch or a property
// that was not replaced, has no order: the parsers refuse it.

// errSyntax is the error of a text that is not a version.
func errSyntax() error { return errors.New("not a version") }

// checked returns a parser that refuses texts for which ok is false.
func checked(ok func(string) bool, parse parser) parser {
	return func(s string) (semantic.Version, error) {
		if !ok(s) {
			return nil, errSyntax()
		}
		return parse(s)
	}
}

// cutNumbers cuts numbers with dots between them from the start of a text, and
// returns how many there are.
func cutNumbers(s string) (n int, rest string) {
	for {
		end := 0
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if end == 0 {
			return n, s
		}
		n++
		s = s[end:]
		if len(s) < 2 || s[0] != '.' || !isDigit(s[1]) {
			return n, s
		}
		s = s[1:]
	}
}

// isSemver reports whether a text is a semantic version, with as many numbers
// as there are, a prefix "v" or "=", and labels of any characters that tags
// have: registries hold all of these. A label without a hyphen needs three
// numbers before it, so that "1.x" is not a version.
func isSemver(s string) bool {
	if s != "" && strings.IndexByte("vV=", s[0]) >= 0 {
		s = s[1:]
	}
	n, label := cutNumbers(s)
	switch {
	case n == 0:
		return false
	case label == "":
		return true
	case label[0] != '-' && label[0] != '+' && (n < 3 || !isLetter(label[0])):
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r > '~' || !isAlphanumeric(byte(r)) && !strings.ContainsRune(".+-_~", r)
	})
}

func isAlphanumeric(c byte) bool { return isDigit(c) || isLetter(c) }

// isMaven reports whether a text is a version as artifacts have them. To Maven
// any text is one; ranges, properties and addresses are not, and neither are
// words with a number after a separator, which are the names of branches.
// Release trains such as Hoxton.SR12 are.
func isMaven(s string) bool {
	if !hasDigit(s) || !isAlphanumeric(s[0]) || strings.ContainsAny(s, " \t[](),${}<>=^*/\\") {
		return false
	}
	word := 0
	for word < len(s) && isLetter(s[word]) {
		word++
	}
	if word < 2 || isDigit(s[word]) {
		return true // r09, v1-rev20, 1.0
	}
	switch strings.ToLower(s[:word]) {
	case "alpha", "beta", "milestone", "rc", "cr":
		return true // beta-3
	}
	switch label := strings.ToUpper(s[word+1:]); {
	case strings.HasPrefix(label, "SR"), strings.HasPrefix(label, "RELEASE"), strings.HasPrefix(label, "RC"), label[0] == 'M' && isDigit(label[1]):
		return 'A' <= s[0] && s[0] <= 'Z'
	}
	return false
}

// isDebian reports whether a text has the characters of deb-version(7), and a
// digit after the epoch.
func isDebian(s string) bool {
	if epoch, rest, ok := strings.Cut(s, ":"); ok && isHackage(epoch) {
		s = rest
	}
	return s != "" && isDigit(s[0]) && !strings.ContainsFunc(s, func(r rune) bool {
		return r > '~' || !isAlphanumeric(byte(r)) && !strings.ContainsRune(".+-~:_", r)
	})
}

// isRPM reports whether a text is a version and perhaps a release. rpm compares
// any text, but packages have no spaces and operators in it.
func isRPM(s string) bool { return !strings.ContainsAny(s, " \t\n<>=(){}[]$,*|\\\"'") }

// isNuGet reports whether a text is a version of NuGet: up to four numbers and
// semantic labels. Ranges and floating versions such as "1.*" are not.
func isNuGet(s string) bool {
	n, label := cutNumbers(strings.TrimLeft(s, "vV"))
	return n > 0 && n <= 4 && (label == "" || label[0] == '-' || label[0] == '+') && isSemver("0.0.0"+label)
}

// pypiVersion is the grammar of PEP 440, appendix B.
var pypiVersion = regexp.MustCompile(`(?i)^\s*v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?` +
	`(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?(?:[-_.]?dev[-_.]?[0-9]*)?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?\s*$`)

// gemVersion is Gem::Version's pattern, and a letter after a number, which
// RubyGems accepted once.
var gemVersion = regexp.MustCompile(`^[0-9]+[a-zA-Z]*(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$`)

// composerVersion is what Composer's VersionParser normalizes without an alias
// or a named branch.
var composerVersion = regexp.MustCompile(`(?i)^v?[0-9]+(?:[.-]?[0-9a-z_+#]+)*$`)

// isCRAN reports whether a text is numbers with dots or hyphens between them.
func isCRAN(s string) bool { return isHackage(strings.ReplaceAll(s, "-", ".")) }

// isHackage reports whether a text is numbers with dots between them.
func isHackage(s string) bool {
	n, rest := cutNumbers(s)
	return n > 0 && rest == ""
}

// isConan reports whether a text is a version of ConanCenter's recipes: a
// semantic version in the wide sense, or the day of a snapshot.
func isConan(s string) bool {
	rest, snapshot := strings.CutPrefix(s, "cci.")
	return isSemver(rest) || snapshot && isHackage(rest) || isSemver("0.0.0-"+s) && s != "" && isDigit(s[0])
}

// isActionTag reports whether a text is a tag of a release. Tags such as "v4"
// move with each release, and commits have no order.
func isActionTag(s string) bool {
	n, _ := cutNumbers(strings.TrimPrefix(s, "v"))
	return n <= 4 && isSemver(s)
}
