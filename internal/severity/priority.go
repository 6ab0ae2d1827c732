package severity

import (
	"cmp"
	"fmt"
	"strconv"

	"oriel/clair"
)

// Level is how soon something should be done about a vulnerability. The order
// of the constants is the order of urgency.
type Level uint8

// The levels, least urgent first.
const (
	LevelUnknown Level = iota
	LevelLow
	LevelMedium
	LevelHigh
	LevelUrgent
)

var levelNames = [...]string{"unknown", "low", "medium", "high", "urgent"}

// String returns the level's name.
func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// MarshalText returns the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Priority is how urgent a vulnerability is and why. Judge makes it.
type Priority struct {
	Level Level `json:"level"`
	// Reasons are the facts that the level follows from, weightiest first.
	Reasons []string `json:"reasons"`
	Evidence
	// Severity is the one severity of the vulnerability; see Best.
	Severity clair.Severity `json:"severity"`
	// Fixable reports whether there is a version with a fix.
	Fixable bool `json:"fixable"`
}

// The least EPSS scores of the levels. About 5% of all CVEs have 0.1 or more;
// with 0.5, exploitation within thirty days is likelier than not.
const (
	epssUrgent = 0.5
	epssHigh   = 0.1
	epssMedium = 0.01
)

// Best returns the one severity of a vulnerability: the feed's own, or, if
// that is Unknown, the severity of the best known CVSS score.
func Best(own clair.Severity, e Evidence) clair.Severity {
	if own == clair.Unknown && e.CVSS != nil {
		return OfScore(*e.CVSS)
	}
	return own
}

// Judge returns the priority of a vulnerability with the given severity of its
// feed. The highest level that any fact calls for counts.
func Judge(own clair.Severity, fixable bool, e Evidence) Priority {
	p := Priority{Reasons: []string{}, Evidence: e, Severity: Best(own, e), Fixable: fixable}
	because := func(l Level, format string, args ...any) {
		p.Level = max(p.Level, l)
		p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
	}
	if e.KEV {
		because(LevelUrgent, "known to be exploited")
	}
	if e.EPSS != nil {
		because(levelOfEPSS(*e.EPSS), "EPSS %s", short(*e.EPSS))
	}
	if p.Severity == clair.Unknown {
		return p
	}
	reason := "severity " + p.Severity.String()
	if own == clair.Unknown {
		reason += " (CVSS " + short(*e.CVSS) + ")"
	}
	if !fixable {
		reason += ", no fix"
	}
	because(levelOfSeverity(p.Severity, fixable), "%s", reason)
	return p
}

func levelOfEPSS(score float64) Level {
	switch {
	case score >= epssUrgent:
		return LevelUrgent
	case score >= epssHigh:
		return LevelHigh
	case score >= epssMedium:
		return LevelMedium
	}
	return LevelLow
}

// levelOfSeverity is one level lower if there is no fix to install. No severity
// makes anything urgent, since only exploitation does.
func levelOfSeverity(s clair.Severity, fixable bool) Level {
	l := LevelLow
	switch s {
	case clair.Critical:
		l = LevelHigh
	case clair.High:
		l = LevelMedium
	}
	if !fixable {
		l = max(l-1, LevelLow)
	}
	return l
}

func short(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// JudgeAll returns the priorities of the vulnerabilities of a report by their
// ids.
func JudgeAll(vulns map[string]*clair.Vulnerability, evidence map[string]Evidence) map[string]Priority {
	out := make(map[string]Priority, len(vulns))
	for id, v := range vulns {
		out[id] = Judge(v.NormalizedSeverity, v.Fix() != "", evidence[id])
	}
	return out
}

// Compare orders priorities, less urgent before more: by level, then by
// exploitation, EPSS, severity, CVSS and whether there is a fix.
func (p Priority) Compare(q Priority) int {
	return cmp.Or(
		cmp.Compare(p.Level, q.Level),
		cmp.Compare(number(p.KEV), number(q.KEV)),
		cmp.Compare(known(p.EPSS), known(q.EPSS)),
		cmp.Compare(p.Severity, q.Severity),
		cmp.Compare(known(p.CVSS), known(q.CVSS)),
		cmp.Compare(number(p.Fixable), number(q.Fixable)),
	)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
