// Package cpe reads Common Platform Enumeration names (NISTIR 7695) and
// compares them as Red Hat's advisories mean it.
package cpe

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"oriel/clair"
)

// Name is a CPE.
type Name struct {
	// attributes are the values as a formatted string quotes them.
	attributes [attributes]string
	// formatted is the formatted string, and prefix that without the "any" at
	// its end.
	formatted, prefix string
}

// Parse parses a URI ("cpe:/o:…") or a formatted string ("cpe:2.3:o:…"). URIs
// may have wildcards as they are, as Red Hat writes them ("openshift:4.*"). The
// error is an ErrInvalid.
func Parse(s string) (Name, error) {
	n, ok := Name{}, false
	if rest, isURI := strings.CutPrefix(s, "cpe:/"); isURI {
		n.attributes, ok = parseURI(rest)
	} else if rest, isFormatted := strings.CutPrefix(s, formattedPrefix); isFormatted {
		n.attributes, ok = parseFormatted(rest)
	}
	if !ok || len(s) > maxLength {
		return Name{}, fmt.Errorf("%w: %.100q is not a CPE", clair.ErrInvalid, s)
	}
	n.formatted = formattedPrefix + strings.Join(n.attributes[:], ":")
	n.prefix = n.formatted
	for strings.HasSuffix(n.prefix, ":*") {
		n.prefix = strings.TrimSuffix(n.prefix, ":*")
	}
	return n, nil
}

const (
	formattedPrefix = "cpe:2.3:"
	// maxLength bounds a CPE, in bytes. The longest in NVD's dictionary has
	// fewer than 200.
	maxLength = 4 << 10
)

// parseFormatted splits a formatted string after its prefix, all of whose
// attributes must be there (NISTIR 7695, section 6.2.3).
func parseFormatted(s string) (out [attributes]string, ok bool) {
	n := 0
	for rest := s; ; n++ {
		if n == attributes {
			return out, false
		}
		end := colon(rest)
		if out[n], ok = canonical(rest[:end]); !ok {
			return out, false
		}
		if end == len(rest) {
			break
		}
		rest = rest[end+1:]
	}
	return out, n == attributes-1 && isPart(out[0])
}

// colon returns the place of the first colon that is not quoted, or the length.
func colon(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ':':
			return i
		}
	}
	return len(s)
}

func isPart(s string) bool { return len(s) == 1 && strings.Contains("aoh*-", s) }

// canonical returns an attribute of a formatted string in its one spelling:
// lower case, with everything quoted but letters, digits, "_", "-", "." and
// wildcards. ok is false if it has characters that no attribute has.
func canonical(s string) (string, bool) {
	if s == "*" || s == "-" {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		quoted := c == '\\'
		if quoted {
			if i++; i == len(s) {
				return "", false
			}
			c = s[i]
		}
		if c <= ' ' || c > '~' {
			return "", false
		}
		wildcard := c == '*' || c == '?'
		if !isWord(c) && (quoted || !wildcard) {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return strings.ToLower(b.String()), b.Len() > 0
}

// isWord reports whether a formatted string has the character unquoted.
func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || strings.IndexByte("_-.", c) >= 0
}

// attributes is the number of attributes of a CPE.
const attributes = 11

// parseURI splits a URI after its scheme.
func parseURI(s string) (out [attributes]string, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) > 7 || len(parts[0]) != 1 || !strings.Contains("aoh", parts[0]) {
		return out, false
	}
	copy(out[:], parts)
	if packed := strings.Split(out[5], "~"); len(packed) == 6 {
		// ~edition~software edition~target software~target hardware~other
		out[5], out[7], out[8], out[9], out[10] = packed[1], packed[2], packed[3], packed[4], packed[5]
	}
	for i, p := range out {
		if out[i], ok = formatPart(p); !ok {
			return out, false
		}
	}
	return out, true
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
		if !isWord(s[i]) && s[i] != '?' && s[i] != '*' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return canonical(b.String())
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
	for i := range n.attributes {
		if !covers(n.attributes[i], other.attributes[i]) {
			return false
		}
	}
	return true
}

// covers reports whether a value is a superset of another or equal to it
// (NISTIR 7696, table 6-2). Values with wildcards are not compared with each
// other, unless they are the same.
func covers(source, target string) bool {
	switch {
	case source == "*" || source == target:
		return true
	case target == "*" || target == "-" || source == "-" || wildcards(target):
		return false
	}
	return wildcards(source) && glob(source, target)
}

// wildcards reports whether a value has a wildcard that is not quoted.
func wildcards(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '*', '?':
			return true
		}
	}
	return false
}

// glob matches a value with one whose "*" stands for any number of characters,
// and "?" for one. A quoted character is one character.
func glob(pattern, text string) bool {
	// star is where the last "*" was tried, and from how much of the text.
	p, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, t
			p++
			continue
		}
		if p < len(pattern) {
			want, got := char(pattern[p:]), char(text[t:])
			if want == "?" || want == got {
				p, t = p+len(want), t+len(got)
				continue
			}
		}
		if star < 0 {
			return false
		}
		from += len(char(text[from:]))
		p, t = star+1, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// char returns the character that s begins with, and what quotes it.
func char(s string) string {
	if s[0] == '\\' && len(s) > 1 {
		return s[:2]
	}
	return s[:1]
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
