// Package cpe reads Common Platform Enumeration names (NISTIR 7695) and
// compares them as Red Hat's advisories mean it.
package cpe

import (
	"fmt"
	"strings"

	"github.com/knqyf263/go-cpe/common"
	"github.com/knqyf263/go-cpe/matching"
	"github.com/knqyf263/go-cpe/naming"

	"oriel/clair"
)

// Name is a CPE.
type Name struct{ wfn common.WellFormedName }

// Parse reads a URI ("cpe:/o:…") or a formatted string ("cpe:2.3:o:…"). The
// error is an ErrInvalid.
func Parse(s string) (Name, error) {
	unbind := naming.UnbindURI
	if strings.HasPrefix(s, "cpe:2.3:") {
		unbind = naming.UnbindFS
	}
	if !strings.HasPrefix(s, "cpe:") {
		return Name{}, fmt.Errorf("%w: %.100q is not a CPE", clair.ErrInvalid, s)
	}
	wfn, err := unbind(s)
	if err != nil {
		return Name{}, fmt.Errorf("%w: %.100q is not a CPE: %w", clair.ErrInvalid, s, err)
	}
	return Name{wfn}, nil
}

// String gives the formatted string, the only form that Clair's clients read.
func (n Name) String() string { return naming.BindToFS(n.wfn) }

// Covers says whether what is said of n is said of other: n is a superset of
// it or equal (NISTIR 7696), or names less of it, so that openshift:4 covers
// openshift:4.13.
func (n Name) Covers(other Name) bool {
	if matching.IsSuperset(n.wfn, other.wfn) {
		return true
	}
	prefix := n.String()
	for strings.HasSuffix(prefix, ":*") {
		prefix = strings.TrimSuffix(prefix, ":*")
	}
	return strings.HasPrefix(other.String(), prefix)
}
