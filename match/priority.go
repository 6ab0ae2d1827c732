package match

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"oriel/clair"
)

// Level says how soon something ought to be done about a vulnerability. The
// order of the constants is the order of urgency.
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

// String gives the level's name.
func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// MarshalText gives the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Priority is how urgent a vulnerability is and why. docs/priority.md has the
// rules, which are those of judge.
type Priority struct {
	Level Level `json:"level"`
	// Reasons are what the level follows from, weightiest first.
	Reasons []string `json:"reasons"`
	// KEV says that the vulnerability is known to be exploited.
	KEV bool `json:"kev"`
	// EPSS is the greatest probability of its CVEs, and CVSS the greatest
	// base score; nil where there is none.
	EPSS *float64 `json:"epss"`
	CVSS *float64 `json:"cvss"`
	// Severity is the vulnerability's own.
	Severity clair.Severity `json:"severity"`
}

// Compare orders priorities, less urgent before more: what is exploited comes
// last, then it goes by EPSS, by CVSS and by the vulnerability's severity.
func (p Priority) Compare(q Priority) int {
	return cmp.Or(
		cmp.Compare(p.Level, q.Level),
		cmp.Compare(truth(p.KEV), truth(q.KEV)),
		cmp.Compare(number(p.EPSS), number(q.EPSS)),
		cmp.Compare(number(p.CVSS), number(q.CVSS)),
		cmp.Compare(p.Severity, q.Severity),
	)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number puts what is not known before everything that is.
func number(x *float64) float64 {
	if x == nil {
		return -1
	}
	return *x
}

// The bounds of levels. An EPSS of 0.1 is about the 95th percentile of all
// CVEs; 0.5 says that exploitation within thirty days is likelier than not.
const (
	epssUrgent, epssHigh, epssMedium = 0.5, 0.1, 0.01
	cvssHigh, cvssMedium             = 9.0, 7.0
)

// judge gives the priority that follows from what is known.
func judge(known Priority) Priority {
	p := known
	p.Reasons = []string{}
	because := func(l Level, format string, args ...any) {
		p.Level = max(p.Level, l)
		p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
	}
	if p.KEV {
		because(LevelUrgent, "known to be exploited")
	}
	if p.EPSS != nil {
		because(levelOf(*p.EPSS, epssUrgent, epssHigh, epssMedium), "EPSS %s", short(*p.EPSS))
	}
	const never = 11 // above all scores: no CVSS makes anything urgent
	switch {
	case p.CVSS != nil:
		because(levelOf(*p.CVSS, never, cvssHigh, cvssMedium), "CVSS %s", short(*p.CVSS))
	case p.Severity != clair.Unknown:
		because(map[clair.Severity]Level{clair.Critical: LevelHigh, clair.High: LevelMedium}[p.Severity], "severity %v", p.Severity)
		p.Level = max(p.Level, LevelLow)
	}
	return p
}

// levelOf compares with the least values of urgent, high and medium.
func levelOf(x, urgent, high, medium float64) Level {
	switch {
	case x >= urgent:
		return LevelUrgent
	case x >= high:
		return LevelHigh
	case x >= medium:
		return LevelMedium
	}
	return LevelLow
}

func short(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// evidence is what enrichments say, by vulnerability id.
type evidence map[string]Priority

func newEvidence() evidence { return evidence{} }

// add takes in what another enrichment says.
func (e evidence) add(other evidence) {
	for id, b := range other {
		a := e[id]
		a.KEV = a.KEV || b.KEV
		a.EPSS, a.CVSS = greater(a.EPSS, b.EPSS), greater(a.CVSS, b.CVSS)
		e[id] = a
	}
}

func greater(a, b *float64) *float64 {
	if number(a) >= number(b) {
		return a
	}
	return b
}

// judge gives the priority of each vulnerability of a report.
func (e evidence) judge(vulns map[string]*clair.Vulnerability) map[string]Priority {
	out := make(map[string]Priority, len(vulns))
	for id, v := range vulns {
		known := e[id]
		known.Severity = v.NormalizedSeverity
		out[id] = judge(known)
	}
	return out
}

// scored is what is read of the records of the media types that count.
type scored struct {
	EPSS *float64 `json:"epss"`
	CVSS *float64 `json:"baseScore"`
}

var errNotJSON = fmt.Errorf("%w: its message is not JSON", clair.ErrInvalid)

// readEvidence reads an enrichment's messages. Those of other media types say
// nothing of priority and need only be JSON.
func readEvidence(mediaType string, messages []json.RawMessage) (evidence, error) {
	out := newEvidence()
	if mediaType != clair.TypeCVSS && mediaType != clair.TypeEPSS && mediaType != clair.TypeKEV {
		for _, m := range messages {
			if !json.Valid(m) {
				return nil, errNotJSON
			}
		}
		return out, nil
	}
	for _, m := range messages {
		var byID map[string][]scored
		if err := json.Unmarshal(m, &byID); err != nil {
			return nil, fmt.Errorf("%w: read its message: %w", clair.ErrInvalid, err)
		}
		for id, list := range byID {
			p := out[id]
			for _, s := range list {
				switch mediaType {
				case clair.TypeKEV:
					p.KEV = true
				case clair.TypeEPSS:
					p.EPSS = greater(p.EPSS, s.EPSS)
				case clair.TypeCVSS:
					p.CVSS = greater(p.CVSS, s.CVSS)
				}
			}
			out[id] = p
		}
	}
	return out, nil
}
