package match

import (
	"cmp"

	"oriel/clair"
	"oriel/internal/cpe"
)

// cpeFits says whether an advisory for one CPE speaks of another. The
// advisory's stands in its repository's name. What is no CPE fits nothing.
func cpeFits(advisory, record *clair.Repository) bool {
	if advisory == nil || record == nil {
		return false
	}
	own := cmp.Or(record.CPE, record.Name)
	if own != "" && advisory.Name == own {
		return true
	}
	a, errA := cpe.Parse(advisory.Name)
	r, errR := cpe.Parse(own)
	return errA == nil && errR == nil && a.Covers(r)
}
