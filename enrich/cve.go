package enrich

import (
	"slices"

	"oriel/clair"
)

// CVEs returns the CVEs of a vulnerability without duplicates: those of its
// name first, then its aliases', then its links'.
func CVEs(v *clair.Vulnerability) []string {
	found := appendCVEs(nil, v.Name)
	for _, a := range v.Aliases {
		found = appendCVEs(found, a)
	}
	return appendCVEs(found, v.Links)
}

// appendCVEs appends the CVEs in a text that are missing in the list, as Clair
// finds them, (?i:cve)[-_]\d{4}[-_]\d{4,}, and in the spelling of their
// records. It is written by hand because the regular expression takes longer
// than the rest of an enricher.
func appendCVEs(list []string, text string) []string {
	const shortest = len("CVE-2000-1234")
	for i := 0; i+shortest <= len(text); i++ {
		if text[i]|0x20 != 'c' {
			continue
		}
		end := cveAt(text[i:])
		if end == 0 {
			continue
		}
		id := text[i : i+end]
		if spelled := "CVE-" + id[4:8] + "-" + id[9:]; !slices.Contains(list, spelled) {
			list = append(list, spelled)
		}
		i += end - 1
	}
	return list
}

// cveAt returns the length of the id that a text begins with, or 0.
func cveAt(s string) int {
	const year, number, digits = len("CVE-"), len("CVE-2000-"), 4
	if s[1]|0x20 != 'v' || s[2]|0x20 != 'e' || !isDash(s[year-1]) || !isDash(s[number-1]) {
		return 0
	}
	for i := year; i < number-1; i++ {
		if !isDigit(s[i]) {
			return 0
		}
	}
	end := number
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	if end < number+digits {
		return 0
	}
	return end
}

func isDash(c byte) bool  { return c == '-' || c == '_' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// recordCVE returns the tag of a feed's record about one CVE; ok is false if
// the id is not one of a CVE.
func recordCVE(id string) (tag string, ok bool) {
	if len(id) < len("CVE-2000-1234") || id[0]|0x20 != 'c' || cveAt(id) != len(id) {
		return "", false
	}
	return "CVE-" + id[4:8] + "-" + id[9:], true
}
