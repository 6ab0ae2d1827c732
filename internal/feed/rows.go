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

// CVEPattern is a CVE's id, also as some feeds misspell it.
var CVEPattern = regexp.MustCompile(`(?i)\bCVE[-_ ]([0-9]{4})[-_]([0-9]{4,19})\b`)

// FindCVEs gives the ids of the CVEs that a text names, each once, in their
// own spelling and in the order of the text.
func FindCVEs(text string) []string {
	var found []string
	for _, m := range CVEPattern.FindAllStringSubmatch(text, -1) {
		found = AppendOnce(found, "CVE-"+m[1]+"-"+m[2])
	}
	return found
}

// AppendOnce appends a string to a short list that lacks it.
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
	// A copy, so that the rest is not kept in memory.
	return strings.Clone(s[:n]) + "…"
}

// ParseDate reads the first of the dates that is one.
func ParseDate(dates ...string) time.Time {
	for _, s := range dates {
		for _, layout := range []string{time.DateOnly, time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05 MST"} {
			if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
				return t.UTC()
			}
		}
	}
	return time.Time{}
}

// MaxProblems bounds what is said of one definition.
const MaxProblems = 3

// MaxReferences bounds the links of a row.
const MaxReferences = 100
