package match

import (
	"fmt"

	"oriel/clair"
	"oriel/internal/version"
)

// boundsAffected is the rule of language ecosystems. Rows that came from a Clair
// without their original bounds have a Range, which then decides.
func boundsAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if v.Range != nil {
		return inRange(v.Range, t)
	}
	b, err := clair.ParseBounds(v.FixedInVersion)
	if err != nil {
		return false, err
	}
	if len(b.Versions) > 0 {
		return oneOf(b.Versions, t)
	}
	if b.Introduced != "" && b.Introduced != "0" {
		if c, err := t.compare(b.Introduced); err != nil || c < 0 {
			return false, err
		}
	}
	if b.Limit != "" {
		if c, err := t.compare(b.Limit); err != nil || c >= 0 {
			return false, err
		}
	}
	switch {
	case b.Fixed != "":
		c, err := t.compare(b.Fixed)
		return err == nil && c < 0, err
	case b.LastAffected != "":
		c, err := t.compareEqual(b.LastAffected)
		return err == nil && c <= 0, err
	}
	return true, nil
}

// oneOf reports whether the record's version is in the list: as text, or as
// another spelling of a member.
func oneOf(list []string, t *target) (bool, error) {
	for _, s := range list {
		if s == t.Package.Version {
			return true, nil
		}
	}
	if _, err := t.version(); err != nil {
		return false, err
	}
	for _, s := range list {
		// A member that is not a version has no other spelling.
		if c, err := t.compareEqual(s); err == nil && c == 0 {
			return true, nil
		}
	}
	return false, nil
}

// inRange compares normalized versions: the lower bound is included, the upper
// is not.
func inRange(r *clair.Range, t *target) (bool, error) {
	lower, err := clair.ParseNormalizedVersion(r.Lower)
	if err != nil {
		return false, err
	}
	upper, err := clair.ParseNormalizedVersion(r.Upper)
	if err != nil {
		return false, err
	}
	own, err := clair.ParseNormalizedVersion(t.Package.NormalizedVersion)
	if err != nil || own.Kind != lower.Kind {
		n, ok := version.Normalize(t.scheme, t.Package.Version)
		if !ok {
			return false, fmt.Errorf("%w: %s has no version of kind %s", clair.ErrInvalid, t.Package.Name, lower.Kind)
		}
		own = n
	}
	if own.Kind != lower.Kind || own.Kind != upper.Kind {
		return false, nil
	}
	return lower.Compare(own) <= 0 && own.Compare(upper) < 0, nil
}
