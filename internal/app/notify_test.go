package app

import (
	"encoding/json"
	"oriel/clair"
	"oriel/store"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A webhook with only_kev gets the vulnerabilities in feeds of that format, by
// any of an advisory's ids.
func TestExploited(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: assets(t).Schema})
	require.NoError(t, err)
	defer db.Close()
	cfg, err := parseConfig([]byte("[[feed]]\nname = 'known'\nformat = 'kev'\nurl = 'https://x.test/'\n"), ".", nil)
	require.NoError(t, err)
	for feed, cve := range map[string]string{"known": "CVE-2021-44228", "scores": "CVE-2024-1111"} {
		_, err := db.UpdateEnrichments(t.Context(), feed, "fp", func(yield func(clair.EnrichmentRecord, error) bool) {
			yield(clair.EnrichmentRecord{Tags: []string{cve}, Enrichment: json.RawMessage(`{"cve":"` + cve + `"}`)}, nil)
		})
		require.NoError(t, err)
	}
	is := exploited(cfg, db)
	for name, v := range map[string]*clair.Vulnerability{
		"by_name": {Name: "cve_2021_44228"}, "by_alias": {Name: "GHSA-1", Aliases: []string{"CVE-2021-44228"}},
		"not_in_that_feed": {Name: "CVE-2024-1111"}, "unknown": {Name: "CVE-2024-2222"}, "no_cve": {Name: "GHSA-2"},
	} {
		t.Run(name, func(t *testing.T) {
			ok, err := is(t.Context(), v)
			require.NoError(t, err)
			require.Equal(t, strings.HasPrefix(name, "by_"), ok)
		})
	}
}
