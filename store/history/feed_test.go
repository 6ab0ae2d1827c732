package history_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/storetest"
)

// open opens a database that the caller closes.
func open(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), path, store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	return db
}

// vuln is a small row, told apart from others by its advisory's name.
func vuln(name string) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name:               name,
		Description:        "about " + name,
		Links:              "https://example.test/" + name,
		Severity:           "HIGH",
		NormalizedSeverity: clair.High,
		Issued:             time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC),
		Package:            &clair.Package{Name: "pkg-" + name[len(name)-1:], Kind: clair.Binary},
		Repo:               &clair.Repository{Name: "go", URI: "https://pkg.go.dev/"},
		FixedInVersion:     "fixed=1.2.3",
		Aliases:            []string{"CVE-2024-" + name},
	}
}

// feedOf streams rows with the given names, then the error if there is one.
func feedOf(fail error, names ...string) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for _, n := range names {
			if !yield(vuln(n), nil) {
				return
			}
		}
		if fail != nil {
			yield(nil, fail)
		}
	}
}

// names collects the names that a stream yields, each of which must come once.
func names(t testing.TB, rows iter.Seq2[*clair.Vulnerability, error]) []string {
	t.Helper()
	got := map[string]bool{}
	for v, err := range rows {
		require.NoError(t, err)
		require.False(t, got[v.Name], "%s twice", v.Name)
		got[v.Name] = true
	}
	return slices.Sorted(maps.Keys(got))
}
