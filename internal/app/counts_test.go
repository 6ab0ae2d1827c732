package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
)

// recordedNeeds records the places that are needed.
type recordedNeeds struct{ places []string }

// Need records places.
func (n *recordedNeeds) Need(_ context.Context, places ...string) ([]string, error) {
	n.places = append(n.places, places...)
	return nil, nil
}

// Findings are counted again when a feed or the manifests have changed, and
// only then.
func TestFindings_Recount(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: assets(t).Schema})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.UpdateVulnerabilities(t.Context(), "osv/Go", "fp1", func(yield func(*clair.Vulnerability, error) bool) {
		yield(&clair.Vulnerability{
			Name: "GO-2024-0001", Package: &clair.Package{Name: "example.test/p7", Kind: clair.Binary},
			Repo: &clair.Repository{Name: "go"}, FixedInVersion: "fixed=v1.3.0",
		}, nil)
	})
	require.NoError(t, err)
	needs := &recordedNeeds{}
	f := &findings{db: db, needer: needs, log: slog.New(slog.DiscardHandler)}
	require.Nil(t, f.Last(), "nothing was counted, which is not nothing found")
	var by counted
	count := func() int64 {
		t.Helper()
		_, err := f.recount(t.Context(), &by)
		require.NoError(t, err)
		return f.Last().BySeverity["Unknown"]
	}
	require.Zero(t, count())
	first := f.Last()
	require.Zero(t, count())
	require.Same(t, first, f.Last())

	report := func(hash, version string) *clair.IndexReport {
		return &clair.IndexReport{
			Hash: clair.Digest(hash), State: clair.StateIndexFinished, Success: true,
			Packages:     map[string]*clair.Package{"1": {ID: "1", Name: "example.test/p7", Version: version, Kind: clair.Binary}},
			Repositories: map[string]*clair.Repository{"1": {ID: "1", Name: "go"}},
			Environments: map[string][]clair.Environment{"1": {{PackageDB: "go.mod", RepositoryIDs: []string{"1"}}}},
		}
	}
	for i, hash := range []string{"a", "b", "c"} {
		_, err := db.PutIndexReport(t.Context(), report("sha256:"+hash, []string{"v1.2.0", "v1.2.0", "v9.0.0"}[i]))
		require.NoError(t, err)
	}
	require.Empty(t, needs.places)
	require.EqualValues(t, 2, count(), "a package counts for each manifest")
	require.Equal(t, []string{"go"}, needs.places, "stored manifests need their feeds")
	require.EqualValues(t, 3, f.Last().Manifests)
	_, err = db.UpdateVulnerabilities(t.Context(), "osv/Go", "fp2", func(func(*clair.Vulnerability, error) bool) {})
	require.NoError(t, err)
	require.Zero(t, count())
}
