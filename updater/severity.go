package updater

import (
	"strconv"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"oriel/clair"
)

// severityOf normalises what a feed says of a severity: a CVSS vector, a base
// score or a word. What it does not know is Unknown.
func severityOf(text string) clair.Severity {
	text = strings.TrimSpace(text)
	if s, ok := severityOfVector(text); ok {
		return s
	}
	if score, err := strconv.ParseFloat(text, 64); err == nil && score >= 0 && score <= 10 {
		return severityOfScore(score)
	}
	return severityOfWord(text)
}

// maxVector is longer than any vector with every optional metric.
const maxVector = 512

// severityOfVector rates a CVSS vector of any version; ok is false where it
// is not a valid one.
func severityOfVector(v string) (s clair.Severity, ok bool) {
	if len(v) > maxVector {
		return clair.Unknown, false
	}
	switch {
	case strings.HasPrefix(v, "CVSS:3.1/"):
		c, err := gocvss31.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return severityOfScore(c.BaseScore()), true
	case strings.HasPrefix(v, "CVSS:3.0/"):
		c, err := gocvss30.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return severityOfScore(c.BaseScore()), true
	case strings.HasPrefix(v, "CVSS:4.0/"):
		c, err := gocvss40.ParseVector(v)
		if err != nil {
			return clair.Unknown, false
		}
		return severityOfScore(c.Score()), true
	case strings.Contains(v, "Au:"):
		// Version 2 has no prefix; some write it in parentheses.
		c, err := gocvss20.ParseVector(strings.Trim(strings.TrimPrefix(v, "CVSS:2.0/"), "()"))
		if err != nil {
			return clair.Unknown, false
		}
		// NVD's rating of version 2 ends with High.
		return min(severityOfScore(c.BaseScore()), clair.High), true
	}
	return clair.Unknown, false
}

// severityOfScore is the qualitative scale of CVSS v3 and v4. Its "None" is
// Clair's Negligible.
func severityOfScore(score float64) clair.Severity {
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

// severityOfWord knows the words of GitHub, Red Hat, SUSE, Debian, Ubuntu,
// Amazon and Oracle.
func severityOfWord(word string) clair.Severity {
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

// severityRank orders the versions of CVSS by preference where a feed gives
// several: version 3 first, because Clair's clients, NVD's scores and the
// enrichments that stand beside ours speak it, and severities of two
// advisories should be comparable; then 4, then 2, which is coarsest.
func severityRank(vector string) int {
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

// preferred picks from what a feed gives for one vulnerability the text to
// keep and its severity: the vector of the preferred version that can be
// read, or else the first thing that says anything at all.
func preferred(texts []string) (text string, s clair.Severity) {
	best := -1
	for _, t := range texts {
		t = strings.TrimSpace(t)
		if t == "" {
			continue
		}
		sev := severityOf(t)
		rank := severityRank(t)
		if rank > 0 && sev == clair.Unknown {
			rank = -1 // a vector that cannot be read
		}
		if text == "" || rank > best {
			text, s, best = t, sev, rank
		}
	}
	return text, s
}
