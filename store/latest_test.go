package store

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// latestRows reads the latest state of all feeds: their states, and their rows as
// texts in the order in which they come.
func latestRows(t *testing.T, l *Latest) (rows map[string][]string) {
	t.Helper()
	rows = map[string][]string{}
	i := 0
	for c, err := range l.Contents(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, l.States()[i], c.FeedState)
		i++
		key := c.Updater + " " + string(c.Kind)
		rows[key] = []string{}
		if c.Kind == clair.KindEnrichment {
			for r, err := range c.Enrichments {
				require.NoError(t, err)
				rows[key] = append(rows[key], fmt.Sprint(r.Tags, string(r.Enrichment)))
			}
			continue
		}
		for v, err := range c.Vulnerabilities {
			require.NoError(t, err)
			rows[key] = append(rows[key], fmt.Sprint(v.Name, v.Description, v.Aliases, *v.Package, v.FixedInVersion, v.Updater, v.Issued, v.Links, v.Severity, v.NormalizedSeverity, v.Repo.Name))
		}
	}
	require.Len(t, l.States(), i)
	return rows
}

// spread makes a feed of some advisories with rows in many packages.
func spread(advisories, rows, round int) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		r := rand.New(rand.NewPCG(1, uint64(advisories)))
		for i := range rows {
			v := vuln(fmt.Sprint("A-", r.IntN(advisories)))
			v.Package = &clair.Package{Name: fmt.Sprint("p", i%97), Version: fmt.Sprint(i)}
			if i%10 == 0 {
				v.FixedInVersion = fmt.Sprint("fixed=", round)
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// The latest state has each row of each feed once, those that one operation
// added of an advisory next to each other, however many there are.
func TestDB_Latest(t *testing.T) {
	db := openNew(t)
	ctx := t.Context()
	for round := range 3 {
		_, err := db.UpdateVulnerabilities(ctx, "many", clair.Fingerprint(fmt.Sprint("many ", round)), spread(300, 5000, round))
		require.NoError(t, err)
		_, err = db.UpdateVulnerabilities(ctx, "few", "few", spread(3, 3000+round, round)) // over a thousand rows each
		require.NoError(t, err)
		_, err = db.UpdateEnrichments(ctx, "epss", "e", func(yield func(clair.EnrichmentRecord, error) bool) {
			for i := range 1300 {
				if !yield(clair.EnrichmentRecord{Tags: []string{fmt.Sprint("CVE-", i)}, Enrichment: fmt.Appendf(nil, `{"n":%d}`, i%7*round)}, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
	}
	checked := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, db.SetUpdateStatus(ctx, clair.UpdateStatus{
		Updater:     "epss",
		Kind:        clair.KindEnrichment,
		LastSuccess: checked,
		Format:      "epss",
	}))
	l, err := db.Latest(ctx)
	require.NoError(t, err)
	defer l.Close()

	states := l.States()
	require.Len(t, states, 3)
	require.Equal(t, []string{"epss", "few", "many"}, []string{states[0].Updater, states[1].Updater, states[2].Updater})
	require.Equal(t, "epss", states[0].Format)
	require.Equal(t, checked, states[0].Checked)
	require.EqualValues(t, "many 2", states[2].Fingerprint)
	rows := latestRows(t, l)
	snap, err := db.Snapshot(ctx)
	require.NoError(t, err)
	defer snap.Close()
	for _, name := range []string{"few", "many"} {
		var want, got []string
		for v, err := range snap.Vulnerabilities(ctx, name) {
			require.NoError(t, err)
			want = append(want, v.ID)
		}
		stretches, current := map[string]int{}, ""
		for c, err := range l.Contents(ctx) {
			require.NoError(t, err)
			if c.Updater != name {
				continue
			}
			for v, err := range c.Vulnerabilities {
				require.NoError(t, err)
				got = append(got, v.ID)
				if v.Name != current {
					stretches[v.Name]++
					current = v.Name
				}
				require.Equal(t, []string{"CVE-2024-" + v.Name}, v.Aliases)
			}
		}
		for advisory, n := range stretches {
			require.LessOrEqual(t, n, 3, "%s: one for each operation that added rows", advisory)
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got)
	}
	require.Len(t, rows["epss enrichment"], 1300)

	// It stays what it is.
	require.Equal(t, 3, len(rows))
	update(t, db, "many", "other")
	ops, err := db.GetUpdateOperations(ctx, "")
	require.NoError(t, err)
	for _, list := range ops {
		for _, o := range list {
			_, err := db.DeleteUpdateOperations(ctx, o.Ref)
			require.NoError(t, err)
		}
	}
	_, err = db.GC(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, rows, latestRows(t, l))
}

// A reader in another process cannot hold rows. It is told when it may have
// lost some.
func TestDB_LatestDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	owner := openAt(t, path)
	defer owner.Close()
	op := update(t, owner, "a", "one", "two")
	e, err := owner.UpdateEnrichments(t.Context(), "b", "e", func(yield func(clair.EnrichmentRecord, error) bool) {
		yield(clair.EnrichmentRecord{Tags: []string{"t"}, Enrichment: []byte(`{}`)}, nil)
	})
	require.NoError(t, err)
	db, err := Open(t.Context(), path, Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	l, err := db.Latest(t.Context())
	require.NoError(t, err)
	defer l.Close()
	require.Len(t, latestRows(t, l)["a vulnerability"], 2)
	update(t, owner, "a", "three")
	require.Len(t, latestRows(t, l)["a vulnerability"], 2)
	_, err = owner.DeleteUpdateOperations(t.Context(), op.Ref, e.Ref)
	require.NoError(t, err)
	_, err = owner.GC(t.Context(), 1)
	require.NoError(t, err)
	for c, err := range l.Contents(t.Context()) {
		require.NoError(t, err)
		var last error
		if c.Kind == clair.KindEnrichment {
			for _, last = range c.Enrichments {
			}
		} else {
			for _, last = range c.Vulnerabilities {
			}
		}
		require.ErrorIs(t, last, clair.ErrUnavailable, c.Updater)
		require.ErrorContains(t, last, "was deleted while it was read")
	}
}

func TestDB_EnrichmentUpdaters(t *testing.T) {
	db := openNew(t)
	for name, format := range map[string]string{"b": "epss", "a": "epss", "c": "kev", "d": "", "e": "epss"} {
		if name != "e" { // a feed of which there is no data
			_, err := db.UpdateEnrichments(t.Context(), name, "1", func(func(clair.EnrichmentRecord, error) bool) {})
			require.NoError(t, err)
		}
		require.NoError(t, db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
			Updater: name,
			Kind:    clair.KindEnrichment,
			Format:  format,
		}))
	}
	require.NoError(t, db.SetUpdateStatus(t.Context(), clair.UpdateStatus{Updater: "a", Kind: clair.KindEnrichment}), "a format that is not said stays")
	names, err := db.EnrichmentUpdaters(t.Context(), "epss")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
}
