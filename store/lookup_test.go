package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/crashtest"
)

// A lookup is complete or an error: if it is interrupted anywhere, it never
// ends as if it were done.
func TestDB_Candidates_CutOff(t *testing.T) {
	db := openNew(t)
	var packages []clair.PackageKey
	const rows = 600
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		for i := range rows {
			v := vuln(fmt.Sprintf("A%d", i))
			v.Package = &clair.Package{Name: fmt.Sprintf("p%d", i%300), Kind: clair.Binary}
			packages = append(packages, clair.PackageKey{Name: v.Package.Name, Kind: clair.Binary})
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	whole, cut := 0, 0
	for n := range 300 {
		ctx := crashtest.After(t.Context(), n*15)
		got, failed := 0, false
		for _, err := range db.Candidates(ctx, []clair.Lookup{{Packages: packages}}, nil) {
			if failed = err != nil; failed {
				break
			}
			got++
		}
		ctx.Cancel()
		if failed {
			cut++
			continue
		}
		require.Equal(t, rows, got, "cut off at %d", n*15)
		whole++
	}
	require.NotZero(t, cut)
	require.NotZero(t, whole)

	// Whoever stops listening leaves nothing behind.
	for range db.Candidates(t.Context(), []clair.Lookup{{Packages: packages}}, nil) {
		break
	}
}
