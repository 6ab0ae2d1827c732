package match

import (
	"cmp"

	"oriel/clair"
	"oriel/internal/cpe"
)

// cpeFits reports whether an advisory, whose CPE is the name of its repository,
// is about the repository of a record. Texts that are not CPEs fit nothing.
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
