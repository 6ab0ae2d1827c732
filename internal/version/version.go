// Package version orders versions as each ecosystem does.
//
// The orderings come from osv-scalibr's semantic package, which carries the
// native tools' own test data. If it differs from the native tool, this package
// corrects it, one file for each ecosystem, with the reason. testdata/order has
// facts that the native tools confirm. The package does no I/O and keeps no
// state.
//
// If a version cannot be parsed, comparing it is an error, never a guess.
package version

import (
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"oriel/clair"
)

// Scheme names an ordering. The scheme of a language ecosystem is the name of
// its repository in index reports.
type Scheme string

// The schemes of distributions' package managers.
const (
	Debian Scheme = "dpkg"
	RPM    Scheme = "rpm"
	Alpine Scheme = "apk"
)

// maxLength limits the length of a version. Real versions are far shorter, and
// some orderings take more than linear time.
const maxLength = 512

// Version is a parsed version. It can be compared with many others.
type Version struct {
	scheme Scheme
	text   string
	parsed semantic.Version
}

// parser reads a version of one scheme.
type parser func(string) (semantic.Version, error)

// parsers has every scheme. Nothing writes to it.
var parsers = map[Scheme]parser{
	Debian: checked(isDebian, from(semantic.ParseDebianVersion)),
	Alpine: parseApk,
	RPM:    checked(isRPM, always(semantic.ParseRedHatVersion)),

	"go":        parseGo,
	"npm":       parseSemver,
	"crates.io": parseSemver,
	"hex":       parseSemver,
	"swift":     parseSemver,
	"julia":     parseSemver,
	"conan":     checked(isConan, always(semantic.ParseSemverVersion)),
	// Tags such as v4.1.2; advisories leave the "v" out.
	"github-actions": checked(isActionTag, func(s string) (semantic.Version, error) {
		return parseSemver(strings.TrimPrefix(s, "v"))
	}),
	"pub":       checked(isSemver, parsePub),
	"pypi":      checked(pypiVersion.MatchString, from(semantic.ParsePyPIVersion)),
	"maven":     checked(isMaven, parseMaven),
	"rubygems":  parseRubyGems,
	"cocoapods": parseRubyGems, // its versions are those of RubyGems
	"nuget":     checked(isNuGet, always(semantic.ParseNuGetVersion)),
	"packagist": parsePackagist,
	"cran":      checked(isCRAN, from(semantic.ParseCRANVersion)),
	"hackage":   checked(isHackage, from(semantic.ParseHackageVersion)),
}

// from and always adapt the library's functions.
func from[V semantic.Version](parse func(string) (V, error)) parser {
	return func(s string) (semantic.Version, error) { return parse(s) }
}

func always[V semantic.Version](parse func(string) V) parser {
	return func(s string) (semantic.Version, error) {
		return parse(s), nil
	}
}

// parseSemver parses a semantic version.
func parseSemver(s string) (semantic.Version, error) {
	if !isSemver(s) {
		return nil, errSyntax()
	}
	return semantic.ParseSemverVersion(strings.TrimPrefix(s, "=")), nil
}

func hasDigit(s string) bool {
	for i := range len(s) {
		if isDigit(s[i]) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Parse reads a version. The error is an ErrInvalid.
func Parse(s Scheme, text string) (Version, error) {
	text = strings.TrimSpace(text)
	parse, ok := parsers[s]
	switch {
	case !ok:
		return Version{}, fmt.Errorf("%w: no ordering is known for %q", clair.ErrInvalid, s)
	case text == "":
		return Version{}, fmt.Errorf("%w: empty %s version", clair.ErrInvalid, s)
	case len(text) > maxLength:
		return Version{}, fmt.Errorf("%w: a %s version of %d bytes", clair.ErrInvalid, s, len(text))
	}
	v, err := parse(text)
	if err != nil {
		return Version{}, fmt.Errorf("%w: %s version %q: %w", clair.ErrInvalid, s, text, err)
	}
	return Version{scheme: s, text: text, parsed: v}, nil
}

// Compare returns -1 if v is older than o, 0 if they are equal and +1 if v is
// newer. If they have different schemes, the error is an ErrInvalid.
func (v Version) Compare(o Version) (int, error) {
	if v.scheme != o.scheme || v.parsed == nil {
		return 0, fmt.Errorf("%w: %q (%s) and %q (%s) have no common order", clair.ErrInvalid, v.text, v.scheme, o.text, o.scheme)
	}
	c, err := v.parsed.Compare(o.parsed)
	if err != nil {
		return 0, fmt.Errorf("%w: compare %q and %q: %w", clair.ErrInvalid, v.text, o.text, err)
	}
	return c, nil
}

// Compare parses and compares two versions of a scheme.
func Compare(s Scheme, a, b string) (int, error) {
	x, err := Parse(s, a)
	if err != nil {
		return 0, err
	}
	y, err := Parse(s, b)
	if err != nil {
		return 0, err
	}
	return x.Compare(y)
}
