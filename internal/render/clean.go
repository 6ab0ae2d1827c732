package render

import (
	"strings"
	"unicode"
)

// clean makes a name safe to show on one line of a terminal: no escape
// sequences, no line breaks, nothing that turns the direction of writing.
func clean(s string) string { return cleaned(s, false) }

// cleanText is clean for texts, which keep their line breaks and tabs.
func cleanText(s string) string { return cleaned(s, true) }

func cleanAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}

func cleaned(s string, lines bool) string {
	ok := func(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }
	if strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	// Ranging gives U+FFFD for what is not UTF-8.
	return strings.Map(func(r rune) rune {
		switch {
		case ok(r):
			return r
		case lines && (r == '\n' || r == '\t'):
			return r
		case lines && r == '\r':
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s)
}
