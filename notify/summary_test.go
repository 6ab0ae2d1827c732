package notify

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/storetest"
)

// A summary of more manifests than are summarized at once has the same rows.
func TestPlanner_Parts(t *testing.T) {
	db := storetest.Open(t)
	for i := range 20 {
		m := clair.Digest(fmt.Sprintf("sha256:%064x", i))
		_, err := db.PutIndexReport(t.Context(), &clair.IndexReport{
			Hash:          m,
			State:         clair.StateIndexFinished,
			Success:       true,
			Distributions: map[string]*clair.Distribution{},
			Packages:      map[string]*clair.Package{"1": {ID: "1", Name: fmt.Sprintf("p%d", i%3), Version: "v1.0.0", Kind: clair.Binary}},
			Repositories:  map[string]*clair.Repository{"1": {ID: "1", Name: "go"}},
			Environments:  map[string][]clair.Environment{"1": {{PackageDB: "x", IntroducedIn: m, RepositoryIDs: []string{"1"}}}},
		})
		require.NoError(t, err)
	}
	feed := func(n int) iter.Seq2[*clair.Vulnerability, error] {
		return func(yield func(*clair.Vulnerability, error) bool) {
			for i := range n {
				if !yield(&clair.Vulnerability{
					Name:               fmt.Sprint("A", i),
					NormalizedSeverity: clair.Severity(i % 6),
					Repo:               &clair.Repository{Name: "go"},
					Package:            &clair.Package{Name: fmt.Sprintf("p%d", i%3), Kind: clair.Binary},
				}, nil) {
					return
				}
			}
		}
	}
	for _, n := range []int{0, 9} {
		_, err := db.UpdateVulnerabilities(t.Context(), "u", "fp", feed(n))
		require.NoError(t, err)
	}
	op, more, err := db.NextOperation(t.Context())
	require.NoError(t, err)
	require.True(t, more)
	rows := func(together int64) (out []clair.NotificationRow) {
		p := &planner{
			store:    db,
			op:       op,
			rules:    rulesOf([]Webhook{{Name: "w", MinSeverity: clair.High}}, "u"),
			summary:  true,
			together: together,
		}
		for r, err := range p.rows(t.Context()) {
			require.NoError(t, err)
			out = append(out, r)
		}
		return out
	}
	whole := rows(summaryManifests)
	require.Len(t, whole, 20+13, "each manifest, and those with a package that has something severe")
	require.ElementsMatch(t, whole, rows(7))
	require.ElementsMatch(t, whole, rows(1))
}
