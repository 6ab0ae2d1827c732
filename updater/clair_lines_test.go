package updater

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// exported is a file as clairctl writes it: one operation of vulnerabilities
// and one of enrichments.
func exported(fp string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"Updater":"osv/npm","Fingerprint":%q,"Date":"2024-01-01T00:00:00Z","Ref":%q,"Vuln":%s,"Kind":"vulnerability"}`+"\n",
			fp, refA, strings.ReplaceAll(npm(i, fmt.Sprint("ADV-", i), "1"), "\n", " "))
	}
	for i := range n {
		fmt.Fprintf(&b, `{"Updater":"clair.cvss","Fingerprint":"e-%s","Date":"2024-01-01T00:00:00Z","Ref":%q,"Enrichment":{"Tags":["CVE-2024-%04d"],"Enrichment":{"baseScore":%d}},"Kind":"enrichment"}`+"\n",
			fp, refB, i, i)
	}
	return b.String()
}

func TestJSONLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.json")
	m, db := newManager(t, nil, newUpdater(t, map[string]any{"name": "box", "format": "clair-jsonl", "url": path}))
	run := func(b []byte) Result {
		t.Helper()
		require.NoError(t, os.WriteFile(path, b, 0o600))
		res, err := m.Update(t.Context())
		require.NoError(t, err)
		return res[0]
	}
	res := run(compressed(t, []byte(exported("one", 20))))
	require.Len(t, res.Operations, 2)
	require.Len(t, contents(t, db, "osv/npm"), 20)
	require.EqualValues(t, "one", res.Operations[0].Fingerprint, "the fingerprint is the file's own")
	require.Equal(t, clair.KindEnrichment, res.Operations[1].Kind)
	found, err := db.GetEnrichment(t.Context(), "clair.cvss", []string{"CVE-2024-0007"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.JSONEq(t, `{"baseScore":7}`, string(found[0].Enrichment))
	require.Equal(t, clair.KindEnrichment, status(t, m, "clair.cvss").Kind)

	require.True(t, run([]byte(exported("one", 20))).Unchanged(), "the same state again")
	require.Len(t, run([]byte(exported("two", 3))).Operations, 2)
	require.Len(t, contents(t, db, "osv/npm"), 3)
	require.True(t, run([]byte(exported("one", 20))).Unchanged(), "any operation that there is counts, not only the newest")

	// Several states of one updater come in their order, and none that a
	// later one of the file makes needless.
	later := strings.ReplaceAll(exported("four", 4), refA, strings.ReplaceAll(refA, "1", "4"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write([]byte(exported("three", 5) + later))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Len(t, run(packed.Bytes()).Operations, 4)
	require.Len(t, contents(t, db, "osv/npm"), 4)
	ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability, "osv/npm")
	require.NoError(t, err)
	_, err = db.DeleteUpdateOperations(t.Context(), ops["osv/npm"][1].Ref) // "three"
	require.NoError(t, err)
	require.True(t, run(packed.Bytes()).Unchanged())
}

func TestJSONLines_Bad(t *testing.T) {
	good := exported("one", 20)
	packed := compressed(t, []byte(good))
	for name, b := range map[string][]byte{
		"cut":            []byte(good[:len(good)-10]),
		"cut_in_first":   []byte(good[:50]),
		"cut_compressed": packed[:len(packed)-8],
		"empty":          nil,
		"no_ref":         []byte(strings.Replace(good, refB, "", 1)),
		"odd_kind":       []byte(strings.Replace(good, `"Kind":"enrichment"`, `"Kind":"rumour"`, 1)),
		"odd_name":       []byte(strings.ReplaceAll(good, `"osv/npm"`, `"a,b"`)),
		"two_updaters":   []byte(strings.Replace(good, `"clair.cvss"`, `"other"`, 1)),
		"not_json":       []byte(good + "<html>"),
	} {
		path := filepath.Join(t.TempDir(), "updates.json")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		m, db := newManager(t, nil, newUpdater(t, map[string]any{"name": "box", "format": "clair-jsonl", "url": path}))
		_, err := m.Update(t.Context())
		require.Error(t, err, name)
		all, err := db.GetUpdateOperations(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, all, "%s: the operations before the fault are not taken either", name)
		require.NotEmpty(t, status(t, m, "box").Error)
	}
}

func TestJSONLines_SkipsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "updates.json")
	bad := `{"Updater":"osv/npm","Fingerprint":"one","Ref":"` + refA + `","Vuln":{"issued":"yesterday"},"Kind":"vulnerability"}` + "\n"
	require.NoError(t, os.WriteFile(path, []byte(bad+bad+exported("one", 20)), 0o600))
	m, db := newManager(t, nil, newUpdater(t, map[string]any{"name": "box", "format": "clair-jsonl", "url": path, "updaters": []any{"osv/npm"}, "prefix": "box/"}))
	res, err := m.Update(t.Context())
	require.NoError(t, err)
	require.Len(t, res[0].Operations, 1)
	require.EqualValues(t, 2, res[0].Skipped)
	require.EqualValues(t, 2, status(t, m, "box/osv/npm").Skipped)
	require.Len(t, contents(t, db, "box/osv/npm"), 20)
}
