package render

import (
	"fmt"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/internal/severity"
)

// FailOn is a condition under which a command fails. The zero value never
// holds.
type FailOn struct {
	severity clair.Severity
	epss     float64
	kind     failKind
}

type failKind uint8

const (
	failNever failKind = iota
	failSeverity
	failKEV
	failEPSS
)

// ParseFailOn reads a severity ("high"), "kev", "epss=0.5" or "", which never
// holds. The error is an ErrInvalid.
func ParseFailOn(s string) (FailOn, error) {
	word := strings.ToLower(strings.TrimSpace(s))
	if word == "" {
		return FailOn{}, nil
	}
	if word == "kev" {
		return FailOn{kind: failKEV}, nil
	}
	if number, ok := strings.CutPrefix(word, "epss="); ok {
		v, err := strconv.ParseFloat(number, 64)
		// The condition is written such that NaN fails it.
		if err != nil || !(v > 0 && v <= 1) {
			return FailOn{}, clair.Invalid("fail-on", "epss: %.40q is not a probability above 0 and up to 1, such as epss=0.5", number)
		}
		return FailOn{kind: failEPSS, epss: v}, nil
	}
	var sev clair.Severity
	if err := sev.UnmarshalText([]byte(word)); err != nil {
		return FailOn{}, clair.Invalid("fail-on", "%.40q is not a severity (%s), kev or epss=0.5", s, severityList())
	}
	return FailOn{kind: failSeverity, severity: sev}, nil
}

func severityList() string {
	var names []string
	for _, s := range severity.All() {
		names = append(names, strings.ToLower(s.String()))
	}
	return strings.Join(names, ", ")
}

// Enricher returns the name of the enricher whose data the condition needs, ""
// if it needs none. Without those data it cannot hold, so that callers should
// refuse it.
func (f FailOn) Enricher() string {
	switch f.kind {
	case failKEV:
		return "kev"
	case failEPSS:
		return "epss"
	}
	return ""
}

// Eval reports whether the condition holds for any finding of the report. The
// reason names the first such finding and how many more there are.
func (f FailOn) Eval(r *Report) (holds bool, reason string) {
	n := 0
	var first Finding
	for _, one := range r.Findings {
		if f.holds(one.Vulnerability) {
			if n == 0 {
				first = one
			}
			n++
		}
	}
	if n == 0 {
		return false, ""
	}
	reason = fmt.Sprintf("%s: %s in %s %s", f.words(), first.Vulnerability.Name, first.Package.Name, first.Package.Version)
	if n > 1 {
		reason += fmt.Sprintf(" and %d more", n-1)
	}
	return true, reason
}

func (f FailOn) holds(v *Vulnerability) bool {
	switch f.kind {
	case failSeverity:
		return v.Severity >= f.severity
	case failKEV:
		return v.Priority.KEV
	case failEPSS:
		return v.Priority.EPSS != nil && *v.Priority.EPSS >= f.epss
	}
	return false
}

func (f FailOn) words() string {
	switch f.kind {
	case failKEV:
		return "known to be exploited"
	case failEPSS:
		return fmt.Sprintf("exploitation at least %g likely", f.epss)
	}
	return "severity " + strings.ToLower(f.severity.String()) + " or worse"
}
