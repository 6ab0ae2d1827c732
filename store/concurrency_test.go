package store

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// Imports begin while garbage is collected, each waiting for the other at
// times, and neither for ever.
func TestDB_ImportsBesideGarbage(t *testing.T) {
	db := openNew(t)
	var imports, collector sync.WaitGroup
	done := make(chan struct{})
	collector.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := db.GC(t.Context(), 1); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for u := range 3 {
		imports.Go(func() {
			for i := range 60 {
				name := fmt.Sprintf("u%d", u)
				if _, err := db.UpdateVulnerabilities(t.Context(), name, "", feedOf(nil, fmt.Sprintf("A%d", i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	imports.Wait()
	close(done)
	collector.Wait()
	require.NoError(t, db.Check(t.Context()))
}

// More lookups at once than there are connections all come to their end.
func TestDB_LookupsAtOnce(t *testing.T) {
	db := openNew(t)
	const dists = 40
	row := func(i int) *clair.Vulnerability {
		v := vuln(fmt.Sprintf("A%d", i))
		v.Package = &clair.Package{Name: "p", Kind: clair.Binary}
		v.Dist = &clair.Distribution{DID: "debian", VersionID: fmt.Sprint(i)}
		return v
	}
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		for i := range dists {
			if !yield(row(i), nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	manifest := report(digest("a"), "p")
	for i := range dists {
		id := fmt.Sprint(i)
		manifest.Distributions[id] = &clair.Distribution{
			ID:        id,
			DID:       "debian",
			VersionID: id,
		}
		manifest.Environments["p"] = append(manifest.Environments["p"], clair.Environment{DistributionID: id, IntroducedIn: digest("a")})
	}
	_, err = db.PutIndexReport(t.Context(), manifest)
	require.NoError(t, err)

	all := []clair.Lookup{{Packages: []clair.PackageKey{{Name: "p", Kind: clair.Binary}}}}
	yes := func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool { return true }
	var wg sync.WaitGroup
	for range 4 * readers {
		wg.Go(func() {
			n := 0
			for _, err := range db.Candidates(t.Context(), all, nil) {
				if err != nil {
					t.Error(err)
					return
				}
				n++
			}
			if n != dists {
				t.Errorf("%d of %d rows", n, dists)
			}
		})
		wg.Go(func() {
			asked := func(yield func(*clair.Vulnerability, error) bool) { yield(row(0), nil) }
			n := 0
			for a, err := range db.AffectedManifests(t.Context(), asked, yes) {
				if err != nil {
					t.Error(err)
					return
				}
				n += len(a.Manifests)
			}
			if n != dists+1 {
				t.Errorf("%d of %d places", n, dists+1)
			}
		})
	}
	wg.Wait()
}
