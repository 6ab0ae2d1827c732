// Package cpe reads Common Platform Enumeration names (NISTIR 7695) and
// compares them as Red Hat's advisories mean it.
package cpe

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/knqyf263/go-cpe/common"
	"github.com/knqyf263/go-cpe/matching"
	"github.com/knqyf263/go-cpe/naming"

	"oriel/clair"
)

// Name is a CPE.
type Name struct {
	wfn common.WellFormedName
	// formatted is the formatted string, and prefix that without the "any" at
	// its end.
	formatted, prefix string
}

// Parse parses a URI ("cpe:/o:…") or a formatted string ("cpe:2.3:o:…"). URIs
// may have wildcards as they are, as Red Hat writes them ("openshift:4.*"). The
// error is an ErrInvalid.
func Parse(s string) (Name, error) {
	formatted := s
	if rest, ok := strings.CutPrefix(s, "cpe:/"); ok {
		if formatted, ok = formatURI(rest); !ok {
			return Name{}, fmt.Errorf("%w: %.100q is not a CPE", clair.ErrInvalid, s)
		}
	}
	if !strings.HasPrefix(formatted, "cpe:2.3:") {
		return Name{}, fmt.Errorf("%w: %.100q is not a CPE", clair.ErrInvalid, s)
	}
	wfn, err := naming.UnbindFS(formatted)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %.100q is not a CPE: %w", clair.ErrInvalid, s, err)
	}
	n := Name{wfn: wfn, formatted: naming.BindToFS(wfn)}
	n.prefix = n.formatted
	for strings.HasSuffix(n.prefix, ":*") {
		n.prefix = strings.TrimSuffix(n.prefix, ":*")
	}
	return n, nil
}

// attributes is the number of attributes of a CPE.
const attributes = 11

// formatURI returns the formatted string of a URI without its scheme.
func formatURI(s string) (formatted string, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) > 7 || len(parts[0]) != 1 || !strings.Contains("aoh", parts[0]) {
		return "", false
	}
	var out [attributes]string
	copy(out[:], parts)
	if packed := strings.Split(out[5], "~"); len(packed) == 6 {
		// ~edition~software edition~target software~target hardware~other
		out[5], out[7], out[8], out[9], out[10] = packed[1], packed[2], packed[3], packed[4], packed[5]
	}
	for i, p := range out {
		if out[i], ok = formatPart(p); !ok {
			return "", false
		}
	}
	return "cpe:2.3:" + strings.Join(out[:], ":"), true
}

// formatPart returns one attribute of a URI as a formatted string quotes it
// (NISTIR 7695, section 6.2).
func formatPart(s string) (string, bool) {
	switch s {
	case "", "*":
		return "*", true
	case "-":
		return "-", true
	}
	s = strings.NewReplacer("%01", "?", "%02", "*").Replace(s)
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		switch {
		case c <= ' ' || c > '~':
			return "", false
		case !letter && strings.IndexByte("_-.?*", c) < 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

// String returns the formatted string, the only form that Clair's clients read.
func (n Name) String() string { return n.formatted }

// Covers reports whether an advisory for n is about other: n is a superset of
// other or equal to it (NISTIR 7696), or a prefix of it, so that openshift:4
// covers openshift:4.13.
func (n Name) Covers(other Name) bool {
	if rest, ok := strings.CutPrefix(other.formatted, n.prefix); ok {
		// Version 1 is not the beginning of version 10.
		return rest == "" || !isDigit(rest[0]) || !isDigit(n.prefix[len(n.prefix)-1])
	}
	return matching.IsSuperset(n.wfn, other.wfn)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// minorRelease is a minor release of Red Hat Enterprise Linux.
var minorRelease = regexp.MustCompile(`^(cpe:2\.3:[ao]:redhat:enterprise_linux:[0-9]+)\.[0-9]+:`)

// Mainline returns the name of the release that a minor release of Red Hat
// Enterprise Linux belongs to, and other names as they are. Since its version 10
// Red Hat names the minor release in which a fix came: enterprise_linux:10.1.
// Streams that stay at a minor release have products of their own.
func (n Name) Mainline() Name {
	if !minorRelease.MatchString(n.formatted) {
		return n
	}
	if major, err := Parse(minorRelease.ReplaceAllString(n.formatted, "$1:")); err == nil {
		return major
	}
	return n
}
