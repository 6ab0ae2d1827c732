package app

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/store"
)

// An enricher reads the records of the feeds of its own format only, whatever
// the names of feeds and the tags are.
func TestMatcher_EnrichersAreScoped(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: assets(t).Schema})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	cfg := defaultConfig()
	for _, f := range [][2]string{{"epss", "nvd"}, {"nvd", "epss"}, {"nvd/2", "epss"}, {"off", "kev"}} { // name and format
		cfg.Feeds = append(cfg.Feeds, feed.Feed{Name: f[0], Format: f[1], Enabled: f[0] != "off"})
	}
	for _, feed := range []string{"epss", "nvd", "nvd/2", "off", "of no feed"} {
		_, err := db.UpdateEnrichments(t.Context(), feed, "", func(yield func(clair.EnrichmentRecord, error) bool) {
			yield(clair.EnrichmentRecord{Tags: []string{"CVE-2024-0001"}, Enrichment: json.RawMessage(`{"from":"` + feed + `"}`)}, nil)
		})
		require.NoError(t, err)
	}
	_, err = db.UpdateVulnerabilities(t.Context(), "osv", "", func(yield func(*clair.Vulnerability, error) bool) {
		yield(&clair.Vulnerability{
			Name: "CVE-2024-0001", Package: &clair.Package{Name: "p", Kind: clair.Binary}, Repo: &clair.Repository{Name: "pypi"},
		}, nil)
	})
	require.NoError(t, err)
	res, err := NewMatcher(&cfg, db).Report(t.Context(), &clair.IndexReport{
		Packages:     map[string]*clair.Package{"1": {ID: "1", Name: "p", Version: "1", Kind: clair.Binary}},
		Repositories: map[string]*clair.Repository{"1": {ID: "1", Name: "pypi"}},
		Environments: map[string][]clair.Environment{"1": {{RepositoryIDs: []string{"1"}}}},
	})
	require.NoError(t, err)
	require.Empty(t, res.Failures)
	got := map[string][]string{}
	for _, e := range res.Report.Enrichments {
		var byID map[string][]struct{ From string }
		require.NoError(t, json.Unmarshal(e.Messages[0], &byID))
		for _, list := range byID {
			for _, r := range list {
				got[e.Type] = append(got[e.Type], r.From)
			}
		}
	}
	require.Equal(t, map[string][]string{
		clair.TypeCVSS: {"epss"}, clair.TypeEPSS: {"nvd", "nvd/2"}, clair.TypeKEV: {"off"},
	}, got)
}
