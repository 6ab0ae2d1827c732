package feed

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"oriel/clair"
)

// Malformed returns an error about a feed or record that cannot be read. It is
// an ErrInvalid.
func Malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{clair.ErrInvalid}, args...)...)
}

// CVEPattern matches the id of a CVE, also in the ways in which some feeds
// misspell it.
var CVEPattern = regexp.MustCompile(`(?i)\bCVE[-_ ]([0-9]{4})[-_]([0-9]{4,19})\b`)

// FindCVEs returns the ids of the CVEs in a text, without duplicates, in their
// canonical spelling and in the order of the text.
func FindCVEs(text string) []string {
	var found []string
	for _, m := range CVEPattern.FindAllStringSubmatch(text, -1) {
		found = AppendOnce(found, "CVE-"+m[1]+"-"+m[2])
	}
	return found
}

// AppendOnce appends a string to a short list unless it is already in it.
func AppendOnce(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// Truncate cuts a text to at most n bytes, between two characters.
func Truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	// This is a copy, so that the rest is not kept in memory.
	return strings.Clone(s[:n]) + "…"
}

// ParseDate returns the first of the texts that is a date.
func ParseDate(dates ...string) time.Time {
	for _, s := range dates {
		for _, layout := range []string{time.DateOnly, time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02T15:04:05-0700", "2006-01-02 15:04", "2006-01-02 15:04:05 MST"} {
			if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// MaxProblems limits the errors about one definition.
const MaxProblems = 3

// MaxReferences limits the links of a row.
const MaxReferences = 100
