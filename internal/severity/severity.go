package severity

import (
	"cmp"
	"strconv"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"oriel/clair"
)

// All returns the severities, most severe first.
func All() []clair.Severity {
	return []clair.Severity{clair.Critical, clair.High, clair.Medium, clair.Low, clair.Negligible, clair.Unknown}
}

// Of returns the severity that a feed's text means: a CVSS vector, a base score
// or a word. It returns Unknown if the text is none of them.
func Of(text string) clair.Severity {
	text = strings.TrimSpace(text)
	if s, ok := OfVector(text); ok {
		return s
	}
	if score, err := strconv.ParseFloat(text, 64); err == nil && score >= 0 && score <= 10 {
		return OfScore(score)
	}
	return ofWord(text)
}

// maxVector is longer than any vector with every optional metric.
const maxVector = 512

// OfVector returns the severity of a CVSS vector of any version; ok is false
// if it is not a valid one.
func OfVector(v string) (s clair.Severity, ok bool) {
	if len(v) > maxVector {
		return clair.Unknown, false
	}
	switch {
	case strings.HasPrefix(v, "CVSS:3.1/"):
		c, err := gocvss31.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return OfScore(c.BaseScore()), true
	case strings.HasPrefix(v, "CVSS:3.0/"):
		c, err := gocvss30.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return OfScore(c.BaseScore()), true
	case strings.HasPrefix(v, "CVSS:4.0/"):
		c, err := gocvss40.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return OfScore(c.Score()), true
	case strings.Contains(v, "Au:"):
		// Version 2 has no prefix; some feeds write it in parentheses.
		c, err := gocvss20.ParseVector(strings.Trim(strings.TrimPrefix(v, "CVSS:2.0/"), "()"))
		if err != nil {
			return clair.Unknown, false
		}
		// NVD's scale for version 2 ends with High.
		return min(OfScore(c.BaseScore()), clair.High), true
	}
	return clair.Unknown, false
}

// OfScore returns the severity of a base score, by the qualitative scale of
// CVSS v3 and v4. Its "None" is Clair's Negligible.
func OfScore(score float64) clair.Severity {
	switch {
	case score <= 0:
		return clair.Negligible
	case score < 4:
		return clair.Low
	case score < 7:
		return clair.Medium
	case score < 9:
		return clair.High
	}
	return clair.Critical
}

// ofWord knows the words of GitHub, Red Hat, SUSE, Debian, Ubuntu, Amazon and
// Oracle.
func ofWord(word string) clair.Severity {
	switch strings.ToLower(word) {
	case "critical", "very high", "urgent", "emergency":
		return clair.Critical
	case "high", "important":
		return clair.High
	case "medium", "moderate":
		return clair.Medium
	case "low", "minor":
		return clair.Low
	case "negligible", "unimportant", "none", "informational":
		return clair.Negligible
	}
	return clair.Unknown
}

// rank orders the versions of CVSS by preference if a feed has several:
// version 3 first, because Clair's clients, NVD's scores and the enrichments
// use it and severities of two advisories should be comparable; then 4; then
// 2, which is the coarsest. It is 0 if the text is not a vector.
func rank(vector string) int {
	switch {
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		return 4
	case strings.HasPrefix(vector, "CVSS:3"):
		return 3
	case strings.HasPrefix(vector, "CVSS:4"):
		return 2
	case strings.Contains(vector, "Au:"):
		return 1
	}
	return 0
}

// Preferred returns, of the texts that a feed has for one vulnerability, the
// one to keep and its severity: the valid vector of the preferred version, or
// else the first text that is not empty.
func Preferred(texts []string) (text string, s clair.Severity) {
	best := -1
	for _, t := range texts {
		t = strings.TrimSpace(t)
		if t == "" {
			continue
		}
		sev := Of(t)
		r := rank(t)
		if r > 0 && sev == clair.Unknown {
			r = -1 // an invalid vector
		}
		if text == "" || r > best {
			text, s, best = t, sev, r
		}
	}
	return text, s
}

// MostSevere returns the most severe of some vulnerabilities; if several are,
// one with a fix, and the first of those. It returns nil if there are none.
func MostSevere(list []*clair.Vulnerability) *clair.Vulnerability {
	var most *clair.Vulnerability
	for _, v := range list {
		if most == nil || cmp.Or(
			cmp.Compare(v.NormalizedSeverity, most.NormalizedSeverity),
			cmp.Compare(min(len(v.Fix()), 1), min(len(most.Fix()), 1)),
		) > 0 {
			most = v
		}
	}
	return most
}
