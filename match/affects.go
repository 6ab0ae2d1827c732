package match

import (
	"fmt"
	"strings"

	"oriel/clair"
	"oriel/internal/version"
)

// Judge decides which vulnerabilities affect records. It remembers by their
// pointers what it prepared from distributions and repositories, which must
// not change meanwhile. It is for one goroutine, and for one piece of work.
type Judge struct{ places placer }

// NewJudge returns a judge that remembers nothing.
func NewJudge() *Judge { return &Judge{newPlacer()} }

// Affects reports whether a vulnerability affects a record. An error means that
// their versions cannot be compared, so that the answer is not known; it is an
// ErrInvalid.
func (j *Judge) Affects(v *clair.Vulnerability, r clair.Record) (bool, error) {
	if v.Package == nil {
		return false, nil
	}
	var named []owned
	for _, t := range j.places.targets(r) {
		if t.key.Name == nameOf(v, t.ecosystem) {
			named = append(named, owned{target: t})
		}
	}
	var of verdict
	of.judge(v, named)
	if of.hits == nil && of.unknown != nil {
		return false, fmt.Errorf("%w: %s and %s: %s", clair.ErrInvalid, v.Package.Name, v.Name, of.unknown[0].reason())
	}
	return of.hits != nil, nil
}

// Certain reports whether a vulnerability is known to affect a package in a
// distribution and a repository, either of which may be nil. Versions that
// cannot be compared count as unaffected, as in reports.
func (j *Judge) Certain(v *clair.Vulnerability, p *clair.Package, d *clair.Distribution, r *clair.Repository) bool {
	ok, err := j.Affects(v, clair.Record{Package: p, Dist: d, Repo: r})
	return ok && err == nil
}

// verdict is the outcome of matching a vulnerability with some targets.
type verdict struct {
	// hits are the targets that it affects, and unknown those whose versions
	// cannot be compared with its own.
	hits, unknown []owned
}

func (v *verdict) empty() bool { return v.hits == nil && v.unknown == nil }

// judge adds the verdict on the targets that have the name of a vulnerability's
// package. Reports, counts, scans and notifications all ask it.
func (v *verdict) judge(c *clair.Vulnerability, named []owned) {
	for _, t := range named {
		// A row without a kind is about packages of any kind.
		if kind := c.Package.Kind; kind != "" && kind != t.key.Kind || !t.meets(c) {
			continue
		}
		switch ok, err := t.rule.affected(c, t.target); {
		case err != nil:
			v.unknown = append(v.unknown, t)
		case ok:
			v.hits = append(v.hits, t)
		}
	}
}

// target is a record under the rule that judges it, with everything that the
// rule needs of the record prepared once for many vulnerabilities.
type target struct {
	clair.Record
	rule      rule
	scheme    version.Scheme
	ecosystem clair.Ecosystem // the zero value for distributions
	key       clair.PackageKey
	where     []clair.Constraint
	products  *products // of a repository of Red Hat

	// The record's version, parsed at the first need.
	parsed    version.Version
	parseErr  error
	hasParsed bool
}

// versionText returns the text of the record's version as its scheme reads it.
// Inventories write the version of Go's standard library with and without the
// toolchain's prefix.
func (t *target) versionText() string {
	text := t.Package.Version
	if t.scheme == "go" && (t.key.Name == "stdlib" || t.key.Name == "toolchain") && text != "" && !strings.HasPrefix(text, "go") {
		return "go" + strings.TrimPrefix(text, "v")
	}
	return text
}

// owned is a target with the id of the package that it belongs to.
type owned struct {
	id string
	*target
}

// nameOf returns the name by which the packages that a vulnerability is about
// are found.
func nameOf(v *clair.Vulnerability, e clair.Ecosystem) string { return e.PackageName(v.Package.Name) }

// rpm reports whether the target is a package of rpm.
func (t *target) rpm() bool { return t.scheme == version.RPM }

// meets compares the fields that are compared literally.
func (t *target) meets(v *clair.Vulnerability) bool {
	for _, c := range t.where {
		if value(c.Field, v.Package, v.Dist, v.Repo) != c.Value {
			return false
		}
	}
	return true
}

// version returns the record's parsed version.
func (t *target) version() (version.Version, error) {
	if !t.hasParsed {
		t.parsed, t.parseErr = version.Parse(t.scheme, t.versionText())
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

// compareEqual is compare for a bound that includes versions equal to it. In
// PyPI, the local label of a package's version does not count then, unless the
// bound has one: 2.6.0+cu124 is a build of 2.6.0 (PEP 440, "Version matching").
func (t *target) compareEqual(other string) (int, error) {
	release, _, local := strings.Cut(t.Package.Version, "+")
	if t.scheme != "pypi" || !local || strings.Contains(other, "+") {
		return t.compare(other)
	}
	return version.Compare(t.scheme, release, other)
}
