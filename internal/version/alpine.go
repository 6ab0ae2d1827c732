package version

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// An apkVersion is a version as apk-tools orders it (src/version.c): a list of
// tokens, compared one by one. The library pads numbers with zeros, and so
// takes 1.2 and 1.2.0 for equal and 1.2-r1 for newer than 1.2.0. To apk a
// version that goes on is newer, unless it goes on with the suffix of a
// pre-release. A text that does not follow apk's grammar is refused: apk ranks
// such texts, but not in one order.
type apkVersion struct{ tokens []apkToken }

// The kinds of tokens, in the order in which they follow each other.
const (
	apkNumber = iota
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkCommit
	apkRevision
	apkEnd
)

// An apkToken is one part of a version.
type apkToken struct {
	kind int
	// rank is the letter, the suffix (negative if it is one of a pre-release)
	// or minus the number of leading zeros of a number.
	rank int
	// digits are a number's without leading zeros.
	digits string
}

func parseApk(s string) (semantic.Version, error) {
	tokens := apkTokens(s)
	if tokens == nil {
		return nil, errSyntax()
	}
	return apkVersion{tokens}, nil
}

// apkTokens splits a version {digits}{.digits}…{letter}{_suffix{digits}}…{-r{digits}}.
// It returns nil for all other texts.
func apkTokens(s string) []apkToken {
	digits := func(kind int) (t apkToken, ok bool) {
		end := 0
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		t = apkToken{kind: kind, digits: strings.TrimLeft(s[:end], "0")}
		if kind == apkNumber {
			t.rank = len(t.digits) - end
		}
		s = s[end:]
		return t, end > 0
	}

	first, ok := digits(apkNumber)
	first.rank = 0 // leading zeros count in every component but the first
	tokens := []apkToken{first}
	for ok && s != "" {
		last, next := tokens[len(tokens)-1].kind, apkToken{}
		switch c := s[0]; {
		case c == '.' && last == apkNumber:
			s = s[1:]
			next, ok = digits(apkNumber)
		case 'a' <= c && c <= 'z' && last == apkNumber:
			next, s = apkToken{kind: apkLetter, rank: int(c)}, s[1:]
		case isDigit(c) && last == apkLetter: // 1.9.5p2
			next, ok = digits(apkNumber)
			next.rank = 0
		case c == '~' && last < apkCommit:
			next, s, ok = apkHash(s[1:])
		case c == '_' && last < apkRevision:
			next.kind = apkSuffix
			next.rank, s, ok = apkSuffixRank(s[1:])
		case isDigit(c) && last == apkSuffix:
			next, ok = digits(apkSuffixNumber)
		case strings.HasPrefix(s, "-r") && last < apkRevision:
			s = s[2:]
			next, ok = digits(apkRevision)
		default:
			ok = false
		}
		tokens = append(tokens, next)
	}
	if !ok {
		return nil
	}
	return append(tokens, apkToken{kind: apkEnd})
}

// apkHash returns the hash of a commit that s begins with, and the rest of s.
func apkHash(s string) (t apkToken, rest string, ok bool) {
	end := 0
	for end < len(s) && (isDigit(s[end]) || 'a' <= s[end] && s[end] <= 'f') {
		end++
	}
	return apkToken{kind: apkCommit, digits: s[:end]}, s[end:], end > 0
}

// apkSuffixRank returns the rank of the suffix that s begins with, negative
// for a pre-release, and the rest of s.
func apkSuffixRank(s string) (rank int, rest string, ok bool) {
	for i, name := range []string{"alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"} {
		if rest, ok := strings.CutPrefix(s, name); ok {
			return i - 4, rest, true
		}
	}
	return 0, s, false
}

// Compare compares v with another apkVersion.
func (v apkVersion) Compare(other semantic.Version) (int, error) {
	w, ok := other.(apkVersion)
	if !ok {
		return 0, semantic.ErrNotSameEcosystem
	}
	return slices.CompareFunc(v.tokens, w.tokens, apkToken.compare), nil
}

// compare orders two tokens at the same place of two versions.
func (a apkToken) compare(b apkToken) int {
	switch {
	case a.kind == b.kind:
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(len(a.digits), len(b.digits)), strings.Compare(a.digits, b.digits))
	case a.preRelease():
		return -1
	case b.preRelease():
		return +1
	}
	return cmp.Compare(b.kind, a.kind) // the end, the last kind, comes first
}

// preRelease reports whether the token makes its version a pre-release.
func (a apkToken) preRelease() bool { return a.kind == apkSuffix && a.rank < 0 }

// CompareStr compares v with a version that is still text.
func (v apkVersion) CompareStr(s string) (int, error) {
	w, err := parseApk(s)
	if err != nil {
		return 0, err
	}
	return v.Compare(w)
}
