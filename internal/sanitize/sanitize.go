// Package sanitize makes strings from packages, feeds and servers, which anyone
// may have written, safe to show on a terminal or in a log: the result has no
// escape sequences, other control characters or marks that turn the direction
// of writing.
package sanitize

import (
	"strings"
	"unicode"
)

// Line returns s for one line: spaces of all kinds, line breaks included,
// become plain spaces, and other unprintable characters and invalid UTF-8
// become U+FFFD.
func Line(s string) string { return sanitized(s, false) }

// Text is like Line, but keeps line breaks and tabs.
func Text(s string) string { return sanitized(s, true) }

// Lines returns Line of each string.
func Lines(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, Line(s))
	}
	return out
}

func sanitized(s string, multiline bool) string {
	ok := func(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }
	if strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	// strings.Map passes U+FFFD for each byte that is not UTF-8.
	return strings.Map(func(r rune) rune {
		switch {
		case ok(r):
			return r
		case multiline && (r == '\n' || r == '\t'):
			return r
		case multiline && r == '\r':
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}
