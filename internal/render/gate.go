package render

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/internal/severity"
)

// Gates are the conditions under which a command fails, such as "high,kev". The
// zero value never fails.
//
// They fail closed: in addition to its findings, a report fails them if it has
// places that no feed covers, or if data that they ask for were never fetched.
type Gates struct {
	conditions []condition
	allow      []string // patterns of places that may be left uncovered
}

// condition is one word of --fail-on.
type condition struct {
	word      string
	kind      gateKind
	severity  clair.Severity
	threshold float64
}

type gateKind uint8

const (
	gateSeverity gateKind = iota
	gateKEV
	gateEPSS
	gateCVSS
	gateUrgent
	gateIncomplete
)

// The names of the enrichers that gates need.
const (
	cvssData = "cvss"
	epssData = "epss"
	kevData  = "kev"
)

// AllowAll is the pattern that allows every place to be left uncovered, and data
// never to be fetched.
const AllowAll = "*"

// ParseGates reads a list of conditions: severities ("high"), "cvss=7",
// "epss=0.5", "kev", "urgent" and "incomplete", separated by commas. allow has
// patterns (path.Match) of places that gates may leave uncovered. The error is
// an ErrInvalid.
func ParseGates(list string, allow []string) (Gates, error) {
	g := Gates{allow: allow}
	for _, pattern := range allow {
		if _, err := path.Match(pattern, ""); err != nil {
			return Gates{}, clair.Invalid("allow-incomplete", "%.60q is not a pattern of places such as \"alpine:*\"", pattern)
		}
	}
	if strings.TrimSpace(list) == "" {
		return g, nil
	}
	for word := range strings.SplitSeq(list, ",") {
		c, err := parseCondition(strings.ToLower(strings.TrimSpace(word)))
		if err != nil {
			return Gates{}, err
		}
		g.conditions = append(g.conditions, c)
	}
	return g, nil
}

func parseCondition(word string) (condition, error) {
	c := condition{word: word}
	name, number, isNumber := strings.Cut(word, "=")
	switch {
	case word == "kev":
		c.kind = gateKEV
	case word == "urgent":
		c.kind = gateUrgent
	case word == "incomplete":
		c.kind = gateIncomplete
	case isNumber && name == "epss":
		c.kind = gateEPSS
		return c, c.parseThreshold(number, 1, "a probability above 0 and up to 1, such as epss=0.5")
	case isNumber && name == "cvss":
		c.kind = gateCVSS
		return c, c.parseThreshold(number, 10, "a score above 0 and up to 10, such as cvss=7")
	case word == "" || c.severity.UnmarshalText([]byte(word)) != nil:
		return c, clair.Invalid("fail-on", "%.40q is not a severity (%s), cvss=7, epss=0.5, kev, urgent or incomplete", word, severityList())
	}
	return c, nil
}

func (c *condition) parseThreshold(number string, most float64, what string) error {
	v, err := strconv.ParseFloat(number, 64)
	// The condition is written such that NaN fails it.
	if err != nil || !(v > 0 && v <= most) {
		return clair.Invalid("fail-on", "%.40q is not %s", c.word, what)
	}
	c.threshold = v
	return nil
}

func severityList() string {
	var names []string
	for _, s := range severity.All() {
		names = append(names, strings.ToLower(s.String()))
	}
	return strings.Join(names, ", ")
}

// Enrichers returns the names of the enrichers whose data a gate always needs.
func (g Gates) Enrichers() []string {
	var out []string
	for _, c := range g.conditions {
		for _, name := range c.needs() {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (c condition) needs() []string {
	switch c.kind {
	case gateKEV:
		return []string{kevData}
	case gateEPSS:
		return []string{epssData}
	case gateCVSS:
		return []string{cvssData}
	case gateUrgent:
		return []string{kevData, epssData}
	}
	return nil
}

// The kinds of GateFailure.
const (
	GateFinding    = "finding"
	GateIncomplete = "incomplete"
)

// GateFailure is a gate that failed.
type GateFailure struct {
	// Gate is the condition in the words of --fail-on.
	Gate string `json:"gate"`
	// Kind is GateFinding or GateIncomplete.
	Kind string `json:"kind"`
	// Reason is one line.
	Reason string `json:"reason"`
}

// String returns the line that commands print.
func (f GateFailure) String() string { return "Gate: " + f.Kind + ": " + f.Reason }

// Eval returns the gates that a report fails, in the order of the conditions,
// with the reasons: findings first.
func (g Gates) Eval(r *Report) []GateFailure {
	var failed, incomplete []GateFailure
	for _, c := range g.conditions {
		if c.kind == gateIncomplete {
			if reason := g.anyGap(r); reason != "" {
				incomplete = append(incomplete, GateFailure{c.word, GateIncomplete, reason})
			}
			continue
		}
		if reason := c.finding(r); reason != "" {
			failed = append(failed, GateFailure{c.word, GateFinding, reason})
		}
		if reason := g.gap(c, r); reason != "" {
			incomplete = append(incomplete, GateFailure{c.word, GateIncomplete, reason})
		}
	}
	return append(failed, incomplete...)
}

// finding returns the first finding that meets the condition and how many more
// do, "" if none does.
func (c condition) finding(r *Report) string {
	n := 0
	var first Finding
	for _, f := range r.Findings {
		if c.holds(f.Vulnerability) {
			if n == 0 {
				first = f
			}
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return c.words() + ": " + first.Vulnerability.Name + " in " + strings.TrimSpace(first.Package.Name+" "+first.Package.Version) + andMore(n-1)
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

func (c condition) holds(v *Vulnerability) bool {
	p := v.Priority
	switch c.kind {
	case gateSeverity:
		return v.Severity >= c.severity
	case gateKEV:
		return p.KEV
	case gateEPSS:
		return p.EPSS != nil && *p.EPSS >= c.threshold
	case gateCVSS:
		return p.CVSS != nil && *p.CVSS >= c.threshold
	case gateUrgent:
		return p.Level == severity.LevelUrgent
	}
	return false
}

func (c condition) words() string {
	switch c.kind {
	case gateKEV:
		return "known to be exploited"
	case gateEPSS:
		return fmt.Sprintf("EPSS %g or more", c.threshold)
	case gateCVSS:
		return fmt.Sprintf("CVSS %g or more", c.threshold)
	case gateUrgent:
		return "priority urgent"
	}
	return "severity " + strings.ToLower(c.severity.String()) + " or worse"
}

// gap returns why it is not known whether a report meets an ordinary condition,
// "" if it is. Components that cannot be matched do not count.
func (g Gates) gap(c condition, r *Report) string {
	if reason := g.uncovered(r); reason != "" {
		return reason
	}
	if slices.Contains(g.allow, AllowAll) {
		return ""
	}
	for _, name := range c.needs() {
		if slices.Contains(r.NeverFetched, name) {
			return strings.ToUpper(name) + " data were never fetched"
		}
	}
	if c.kind == gateSeverity && c.severity > clair.Unknown && r.unjudged != nil && slices.Contains(r.NeverFetched, cvssData) {
		return "CVSS data were never fetched, and " + r.unjudged.Vulnerability.Name + " in " + r.unjudged.Package.Name + " has no severity"
	}
	return ""
}

// anyGap returns the first thing that is not covered, matched or compared, and
// how many more there are.
func (g Gates) anyGap(r *Report) string {
	if reason := g.uncovered(r); reason != "" {
		return reason
	}
	switch {
	case len(r.Unmatched) > 0:
		return "not matched: " + unmatchedText(r.Unmatched[0]) + andMore(len(r.Unmatched)-1)
	case len(r.Incomparable) > 0:
		return "not compared: " + r.Incomparable[0].String() + andMore(len(r.Incomparable)-1)
	}
	return ""
}

// uncovered returns the first place that is not covered and may not be left so,
// and how many more there are.
func (g Gates) uncovered(r *Report) string {
	n := 0
	var first string
	for _, p := range r.NotCovered {
		if g.allows(p.Name) {
			continue
		}
		if n == 0 {
			first = fmt.Sprintf("not covered: %s (%s): %s", p.Name, plural(p.Packages, "package"), p.Reason)
		}
		n++
	}
	if n == 0 {
		return ""
	}
	return first + andMore(n-1)
}

func (g Gates) allows(place string) bool {
	return slices.ContainsFunc(g.allow, func(pattern string) bool {
		ok, err := path.Match(pattern, place)
		return pattern == AllowAll || err == nil && ok
	})
}
