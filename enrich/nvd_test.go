package enrich_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/store"
	"oriel/updater"
)

// nvd is a server of NVD's feeds: what it knows of CVEs, by feed. A score
// below 0 is a CVE that is not judged.
type nvd struct {
	*httptest.Server
	mu    sync.Mutex
	feeds map[string]map[string]float64
	// broken is a feed that is not what its .meta file says.
	broken string
	asked  []string
}

func newNVD(t *testing.T) *nvd {
	n := &nvd{feeds: map[string]map[string]float64{"modified": {}}}
	for year := 2002; year <= time.Now().UTC().Year(); year++ {
		n.feeds[fmt.Sprint(year)] = map[string]float64{fmt.Sprintf("CVE-%d-0001", year): 5}
	}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *nvd) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := path.Base(r.URL.Path)
	which, ending, _ := strings.Cut(strings.TrimPrefix(name, "nvdcve-2.0-"), ".")
	cves, ok := n.feeds[which]
	if !ok {
		http.NotFound(w, r)
		return
	}
	body := document(cves)
	if ending == "meta" {
		_, _ = fmt.Fprintf(w, "lastModifiedDate:2026-08-16T03:00:00-04:00\r\nsize:%d\r\nsha256:%X\r\n", len(body), sha256.Sum256(body))
		return
	}
	n.asked = append(n.asked, which)
	if which == n.broken {
		body = append(body, ' ')
	}
	z := gzip.NewWriter(w)
	_, _ = z.Write(body)
	_ = z.Close()
}

func document(cves map[string]float64) []byte {
	var b bytes.Buffer
	b.WriteString(`{"format":"NVD_CVE","version":"2.0","vulnerabilities":[`)
	for i, id := range slices.Sorted(maps.Keys(cves)) {
		if i > 0 {
			b.WriteByte(',')
		}
		metrics := "{}"
		if score := cves[id]; score >= 0 {
			metrics = fmt.Sprintf(`{"cvssMetricV31":[{"type":"Primary","cvssData":{"version":"3.1","vectorString":"CVSS:3.1/AV:N","baseScore":%.1f}}]}`, score)
		}
		fmt.Fprintf(&b, `{"cve":{"id":%q,"vulnStatus":"Analyzed","metrics":%s}}`, id, metrics)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// change changes the server.
func (n *nvd) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// set changes what a feed says of a CVE.
func (n *nvd) set(feed, cve string, score float64) { n.change(func() { n.feeds[feed][cve] = score }) }

// downloads returns the feeds that were fetched since the last call.
func (n *nvd) downloads() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = nil
	return asked
}

// manager makes a manager of the server's feeds with a database of its own.
func (n *nvd) manager(t *testing.T) (*updater.Manager, *store.DB) {
	t.Helper()
	db := openDB(t)
	u := named(t, "cvss").NewFeed(feed.Feed{Name: "nvd", URL: n.URL}, fetch.New(fetch.Config{}))
	m, err := updater.NewManager(updater.Default(), updater.Options{Store: db, Updaters: []clair.Updater{u}})
	require.NoError(t, err)
	return m, db
}

func update(t *testing.T, m *updater.Manager) updater.Result {
	t.Helper()
	res, err := m.Update(t.Context())
	require.NoError(t, err)
	return res[0]
}

// scores reads the records there are of some CVEs.
func scores(t *testing.T, db *store.DB, cves []string) map[string]string {
	t.Helper()
	found, err := db.GetEnrichment(t.Context(), "nvd", cves)
	require.NoError(t, err)
	out := map[string]string{}
	for _, r := range found {
		require.Len(t, r.Tags, 1)
		require.NotContains(t, out, r.Tags[0], "one record a CVE")
		out[r.Tags[0]] = string(r.Enrichment)
	}
	return out
}

// Only the feeds whose .meta file changed are fetched, in addition to the
// recent modifications.
func TestNVDYears(t *testing.T) {
	n := newNVD(t)
	n.set("modified", "CVE-2021-0002", 7)
	n.set("2021", "CVE-2021-0002", 3)
	m, db := n.manager(t)
	years := len(n.feeds) - 1
	score := func(cve string) string { return scores(t, db, []string{cve})[cve] }

	op := update(t, m).Operations[0]
	require.EqualValues(t, years+1, op.Added)
	require.Len(t, n.downloads(), years+1)
	require.Contains(t, score("CVE-2021-0002"), `"baseScore":7.0`, "what was modified last counts")

	require.True(t, update(t, m).Unchanged())
	require.Empty(t, n.downloads(), "no feed is fetched while the .meta files stay")

	n.set("2023", "CVE-2023-0001", 8)
	n.set("2023", "CVE-2023-0009", 9)
	op = update(t, m).Operations[0]
	require.Equal(t, []string{"modified", "2023"}, n.downloads())
	require.EqualValues(t, []int64{2, 1, int64(years)}, []int64{op.Added, op.Removed, op.Unchanged})
	require.Contains(t, score("CVE-2023-0001"), `"baseScore":8.0`)

	n.set("modified", "CVE-2023-0009", -1)
	op = update(t, m).Operations[0]
	require.Equal(t, []string{"modified"}, n.downloads())
	require.EqualValues(t, []int64{0, 1, int64(years) + 1}, []int64{op.Added, op.Removed, op.Unchanged})
	require.Empty(t, score("CVE-2023-0009"), "it is no longer judged")

	// A CVE that is gone from its year is gone.
	n.change(func() { delete(n.feeds["2023"], "CVE-2023-0001") })
	update(t, m)
	require.Equal(t, []string{"modified", "2023"}, n.downloads())
	require.Empty(t, score("CVE-2023-0001"))
	require.Empty(t, score("CVE-2023-0009"), "the modified feed still counts")

	// A feed that is not what its .meta file says changes nothing.
	n.set("2024", "CVE-2024-0001", 1)
	n.change(func() { n.broken = "2024" })
	_, err := m.Update(t.Context())
	require.ErrorIs(t, err, clair.ErrUnavailable)
	require.Contains(t, score("CVE-2024-0001"), `"baseScore":5.0`)
	n.change(func() { n.broken = "" })
	n.downloads()
	update(t, m)
	require.Equal(t, []string{"modified", "2024"}, n.downloads())
	require.Contains(t, score("CVE-2024-0001"), `"baseScore":1.0`)
}

// However the feeds change, deltas lead to the same state as fetching
// everything, also after failures and deleted operations.
func TestNVDYears_DeltaIsWhole(t *testing.T) {
	n := newNVD(t)
	m, db := n.manager(t)
	r := rand.New(rand.NewPCG(7, 7))
	years := slices.DeleteFunc(slices.Sorted(maps.Keys(n.feeds)), func(which string) bool { return which == "modified" })
	cves := []string{"CVE-1999-0001", "CVE-2002-00011"}
	for _, year := range years {
		for i := range 4 {
			cves = append(cves, fmt.Sprintf("CVE-%s-000%d", year, i), fmt.Sprintf("CVE-%s-000%d1", year, i))
		}
	}
	feedOf := func(cve string) string {
		if year := cve[4:8]; year >= "2002" {
			return year
		}
		return "2002"
	}
	n.set("modified", cves[0], 1)
	update(t, m)
	for range 12 {
		for range r.IntN(8) { // CVEs are modified
			n.set("modified", cves[r.IntN(len(cves))], float64(r.IntN(12)-1))
		}
		if r.IntN(3) == 0 { // a day passes, and some years take up what was
			n.change(func() {
				modified := n.feeds["modified"]
				for cve, score := range modified {
					n.feeds[feedOf(cve)][cve] = score
				}
				for range 3 {
					delete(modified, cves[r.IntN(len(cves))])
				}
				modified[cves[r.IntN(len(cves))]] = 2
				gone := cves[r.IntN(len(cves))]
				if _, ok := modified[gone]; !ok {
					delete(n.feeds[feedOf(gone)], gone)
				}
			})
		}
		switch r.IntN(4) {
		case 0:
			n.change(func() { n.broken = years[r.IntN(len(years))] })
			_, _ = m.Update(t.Context()) // fails where that feed has changed
			n.change(func() { n.broken = "" })
		case 1:
			ref, err := db.GetLatestUpdateRef(t.Context(), clair.KindEnrichment)
			require.NoError(t, err)
			_, err = db.DeleteUpdateOperations(t.Context(), ref)
			require.NoError(t, err)
		}
		update(t, m)
		fresh, whole := n.manager(t)
		update(t, fresh)
		require.Equal(t, scores(t, whole, cves), scores(t, db, cves))
	}
}
