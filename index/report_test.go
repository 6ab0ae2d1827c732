package index

import (
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// checkReport holds a report against what Clair's clients need.
func checkReport(t testing.TB, r *clair.IndexReport) {
	t.Helper()
	ids := map[string]bool{}
	take := func(id string) {
		require.Regexp(t, `^[1-9][0-9]*$`, id)
		require.False(t, ids[id], "id %s is used twice", id)
		ids[id] = true
	}
	for id, p := range r.Packages {
		require.Equal(t, id, p.ID)
		take(id)
		require.NotEmpty(t, r.Environments[id])
	}
	for id := range r.Distributions {
		take(id)
	}
	for id := range r.Repositories {
		take(id)
	}
	for _, envs := range r.Environments {
		for _, e := range envs {
			require.NotEmpty(t, e.IntroducedIn)
			require.NotNil(t, e.RepositoryIDs)
		}
	}
	require.True(t, r.Success)
	require.Equal(t, clair.StateIndexFinished, r.State)
}
