package match

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
)

// Incomparable is a package whose version could not be compared with those of
// some advisories, so that it is not known whether they affect it.
type Incomparable struct {
	Package string `json:"package"`
	Version string `json:"version"`
	// Advisories are the names of the advisories, sorted.
	Advisories []string `json:"advisories"`
	// Reason is the reason of the first comparison.
	Reason string `json:"reason"`
}

// Pairs counts the pairs of a package and an advisory.
func Pairs(list []Incomparable) int {
	n := 0
	for _, i := range list {
		n += len(i.Advisories)
	}
	return n
}

// incomparables collects packages by name and version: the same package in two
// places, or under its own name and its source's, is listed once.
type incomparables map[[2]string]*Incomparable

// add adds an advisory that could not be compared with a target of a package.
func (l incomparables) add(p *clair.Package, t owned, v *clair.Vulnerability) {
	if p == nil {
		return
	}
	key := [2]string{p.Name, p.Version}
	one := l[key]
	if one == nil {
		one = &Incomparable{Package: p.Name, Version: p.Version, Reason: t.reason()}
		l[key] = one
	}
	if at, known := slices.BinarySearch(one.Advisories, v.Name); !known {
		one.Advisories = slices.Insert(one.Advisories, at, v.Name)
	}
}

// reason returns why the version of a target could not be compared.
func (t *target) reason() string {
	if _, err := t.version(); err != nil {
		return fmt.Sprintf("%.80q is not a valid %s version", t.Package.Version, t.scheme)
	}
	return fmt.Sprintf("the advisory's version is not a valid %s version", t.scheme)
}

func (l incomparables) list() []Incomparable {
	var out []Incomparable
	for _, one := range slices.SortedFunc(maps.Values(l), compareIncomparable) {
		out = append(out, *one)
	}
	return out
}

func compareIncomparable(a, b *Incomparable) int {
	return cmp.Or(strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version))
}
