package clair

import "strings"

// Severity is Clair's normalized severity. The order of the constants is the
// order of severities, so they compare with < and >.
type Severity uint8

// The six severities, mildest first.
const (
	Unknown Severity = iota
	Negligible
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"Unknown", "Negligible", "Low", "Medium", "High", "Critical"}

// String returns Clair's exact spelling, such as "High".
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[Unknown]
}

// MarshalText returns Clair's exact spelling.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity in any case; "" is Unknown, as some of
// Clair's clients send it. Anything else is an ErrInvalid.
func (s *Severity) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = Unknown
		return nil
	}
	for i, name := range severityNames {
		if strings.EqualFold(name, string(b)) {
			*s = Severity(i)
			return nil
		}
	}
	return Invalid("normalized_severity", "%.40q is not one of %s", b, strings.Join(severityNames[:], ", "))
}
