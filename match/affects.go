package match

import (
	"cmp"
	"fmt"

	"oriel/clair"
	"oriel/internal/version"
)

// Affects says whether a vulnerability affects a record. An error says that
// their versions cannot be compared; it is an ErrInvalid and means "not
// known", never "no".
func Affects(v *clair.Vulnerability, r clair.Record) (bool, error) { return NewJudge().Affects(v, r) }

// Judge answers many questions as Affects does, and remembers by their
// pointers what it worked out of distributions and repositories, which must
// not change meanwhile. It is for one goroutine, and for one piece of work.
type Judge struct{ places placer }

// NewJudge makes a judge that remembers nothing.
func NewJudge() *Judge { return &Judge{placer{}} }

// Affects is what the function Affects is.
func (j *Judge) Affects(v *clair.Vulnerability, r clair.Record) (bool, error) {
	if v.Package == nil {
		return false, nil
	}
	var unknown error
	for _, t := range j.places.targets(r) {
		key := keyOf(v, t.ecosystem)
		if key.Kind == "" {
			key.Kind = t.key.Kind // who asks without a kind means any
		}
		if t.key != key || !t.meets(v) {
			continue
		}
		ok, err := t.affected(v)
		if ok {
			return true, nil
		}
		unknown = cmp.Or(unknown, err)
	}
	return false, unknown
}

// Certain says whether a vulnerability is known to affect a package in a
// distribution and a repository, either of which may be nil. What cannot be
// compared counts as unaffected, as in reports.
func (j *Judge) Certain(v *clair.Vulnerability, p *clair.Package, d *clair.Distribution, r *clair.Repository) bool {
	ok, err := j.Affects(v, clair.Record{Package: p, Dist: d, Repo: r})
	return ok && err == nil
}

// target is a record under the rule that judges it, with what the rule needs
// of the record worked out once for many vulnerabilities.
type target struct {
	clair.Record
	rule      rule
	scheme    version.Scheme
	ecosystem clair.Ecosystem // the zero value for distributions
	key       clair.PackageKey
	where     []clair.Constraint

	// The record's version, parsed at the first need.
	parsed    version.Version
	parseErr  error
	hasParsed bool
}

// keyOf is the key by which a vulnerability is found.
func keyOf(v *clair.Vulnerability, e clair.Ecosystem) clair.PackageKey {
	return clair.PackageKey{Name: e.PackageName(v.Package.Name), Kind: v.Package.Kind}
}

// meets compares the fields that are compared literally.
func (t *target) meets(v *clair.Vulnerability) bool {
	for _, c := range t.where {
		if value(c.Field, v.Package, v.Dist, v.Repo) != c.Value {
			return false
		}
	}
	return true
}

// affected asks the rule about a vulnerability that meets the fields.
func (t *target) affected(v *clair.Vulnerability) (bool, error) {
	ok, err := t.rule.affected(v, t)
	if err != nil {
		// The name is not known yet where the advisory is read only for what
		// is kept.
		name := cmp.Or(v.Name, "row "+v.ID)
		return false, fmt.Errorf("%s %s and %s of %s: %w", t.Package.Name, t.Package.Version, name, v.Updater, err)
	}
	return ok, nil
}

// version is the record's parsed version.
func (t *target) version() (version.Version, error) {
	if !t.hasParsed {
		t.parsed, t.parseErr = version.Parse(t.scheme, t.Package.Version)
		t.hasParsed = true
	}
	return t.parsed, t.parseErr
}

// compare orders the record's version and another: -1 if the record's comes
// before.
func (t *target) compare(other string) (int, error) {
	own, err := t.version()
	if err != nil {
		return 0, err
	}
	v, err := version.Parse(t.scheme, other)
	if err != nil {
		return 0, err
	}
	return own.Compare(v)
}
