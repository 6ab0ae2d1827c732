package enrich_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/corpus"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/updater"
)

const (
	epssFile = "#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z\ncve,epss,percentile\n" +
		"CVE-2021-44228,0.94358,0.99958\nCVE-2024-0001,0.00042,0.12\nCVE-2024-0002,1.5,0.5\nCVE-2024-0003\nno cve,0.1,0.1\n"
	kevFile = `{"title":"t","catalogVersion":"2026.08.16","dateReleased":"2026-08-16T00:00:00Z","count":2,"vulnerabilities":[
		{"cveID":"CVE-2021-44228","vendorProject":"Apache","product":"Log4j2","vulnerabilityName":"Apache Log4j2 Remote Code Execution Vulnerability",
		"dateAdded":"2021-12-10","shortDescription":"d","requiredAction":"a","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known","notes":""},
		{"cveID":7}]}`
	nvdFile = `{"resultsPerPage":3,"format":"NVD_CVE","version":"2.0","vulnerabilities":[
		{"cve":{"id":"CVE-2021-44228","vulnStatus":"Analyzed","metrics":{
			"cvssMetricV31":[{"type":"Secondary","cvssData":{"version":"3.1","vectorString":"CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N","baseScore":4.0,"baseSeverity":"MEDIUM"}},
				{"type":"Primary","cvssData":{"version":"3.1","vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H","baseScore":10.0,"baseSeverity":"CRITICAL"}}],
			"cvssMetricV2":[{"type":"Primary","cvssData":{"version":"2.0","vectorString":"AV:N/AC:M/Au:N/C:C/I:C/A:C","baseScore":9.3}}]}}},
		{"cve":{"id":"CVE-2024-0001","vulnStatus":"Rejected","metrics":{"cvssMetricV31":[{"type":"Primary","cvssData":{"version":"3.1","vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H","baseScore":10.0}}]}}},
		{"cve":{"id":"CVE-2024-0004","vulnStatus":"Analyzed","metrics":{"cvssMetricV2":[{"type":"Primary","cvssData":{"version":"2.0","vectorString":"AV:N/AC:M/Au:N/C:C/I:C/A:C","baseScore":9.3}}]}}}]}`
)

func named(t testing.TB, name string) enrich.Enrichment {
	t.Helper()
	for _, e := range enrich.All() {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("no enrichment %q", name)
	return enrich.Enrichment{}
}

func openDB(t testing.TB) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	return db
}

// load imports a file as a feed of the same name as its enrichment, and counts
// the records that could not be used.
func load(t testing.TB, db *store.DB, name, path string) (res clair.UpdateResult, skipped int, err error) {
	t.Helper()
	u := named(t, name).NewFeed(feed.Feed{Name: name, URL: path}, fetch.New(fetch.Config{})).(clair.EnrichmentUpdater)
	r, fp, err := u.FetchEnrichment(t.Context(), "")
	if err != nil {
		return res, 0, err
	}
	defer r.Close()
	var usable iter.Seq2[clair.EnrichmentRecord, error] = func(yield func(clair.EnrichmentRecord, error) bool) {
		for rec, err := range u.ParseEnrichment(t.Context(), r) {
			if _, skip := errors.AsType[*clair.RecordError](err); skip {
				skipped++
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
	res, err = db.UpdateEnrichments(t.Context(), name, fp, usable)
	return res, skipped, err
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// records reads one updater's records and no others.
type records struct {
	db      *store.DB
	updater string
}

func (r records) GetEnrichment(ctx context.Context, tags []string) ([]clair.EnrichmentRecord, error) {
	return r.db.GetEnrichment(ctx, r.updater, tags)
}

func enriched(t testing.TB, db *store.DB) *match.Result {
	t.Helper()
	_, err := db.UpdateVulnerabilities(t.Context(), "osv", "", func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range []*clair.Vulnerability{
			{Name: "GHSA-1", Aliases: []string{"CVE-2021-44228"}, Links: "https://example.test/cve_2024_0001 https://example.test/CVE-2024-0004"},
			{Name: "GHSA-2"},
		} {
			v.Package, v.Repo = &clair.Package{Name: "p", Kind: clair.Binary}, &clair.Repository{Name: "pypi"}
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	var on []match.Enriching
	for _, e := range enrich.All() {
		on = append(on, match.Enriching{Enricher: e.Enricher, Records: records{db, e.Name}})
	}
	res, err := match.NewMatcher(db, on...).Report(t.Context(), &clair.IndexReport{
		Packages:     map[string]*clair.Package{"1": {Name: "p", Version: "1", Kind: clair.Binary}},
		Repositories: map[string]*clair.Repository{"1": {Name: "pypi"}},
		Environments: map[string][]clair.Environment{"1": {{RepositoryIDs: []string{"1"}}}},
	})
	require.NoError(t, err)
	require.Empty(t, res.Failures)
	return res
}

// MAT-12, MAT-13, MAT-14.
func TestReport(t *testing.T) {
	db := openDB(t)
	for name, text := range map[string]string{"epss": epssFile, "kev": kevFile, "cvss": nvdFile} {
		res, skipped, err := load(t, db, name, write(t, "feed.json", text))
		require.NoError(t, err)
		require.Equal(t, clair.KindEnrichment, res.Kind)
		require.Equal(t, map[string]int{"epss": 3, "kev": 1, "cvss": 0}[name], skipped, name)
	}
	res := enriched(t, db)
	var id string
	for i, v := range res.Report.Vulnerabilities {
		if v.Name == "GHSA-1" {
			id = i
		}
	}
	body, err := json.Marshal(res.Report.Enrichments)
	require.NoError(t, err)
	const (
		cvss = "message/vnd.clair.map.vulnerability; enricher=clair.cvss schema=https://csrc.nist.gov/schema/nvd/api/2.0/cve_api_json_2.0.schema"
		epss = "message/vnd.clair.map.vulnerability; enricher=clair.epss schema=none"
		kev  = "message/vnd.clair.map.vulnerability; enricher=clair.kev schema=none"
	)
	require.True(t, strings.HasPrefix(string(body), `{"`+cvss+`":[{`), "CVSS is the first key: %s", body)
	var got map[string][]map[string][]map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	require.Len(t, got, 3)
	for key, want := range map[string][]map[string]any{
		cvss: {{"version": "3.1", "baseScore": 10.0}, {"version": "2.0", "baseScore": 9.3}},
		epss: {{"cve": "CVE-2021-44228", "epss": 0.94358, "percentile": 0.99958, "modelVersion": "v2025.03.14"}, {"cve": "CVE-2024-0001", "epss": 0.00042}},
		kev:  {{"cve": "CVE-2021-44228", "catalog_version": "2026.08.16", "date_added": "2021-12-10", "known_ransomware_campaign_use": "Known", "due_date": "2021-12-24"}},
	} {
		require.Len(t, got[key], 1, key)
		require.Len(t, got[key][0], 1, "only what has a record: %s", key)
		list := got[key][0][id]
		require.Len(t, list, len(want), key)
		for i, w := range want {
			for field, value := range w {
				require.Equal(t, value, list[i][field], "%s %d %s", key, i, field)
			}
		}
	}
}

// MAT-13: CVSS is there, empty, where nothing was found.
func TestReport_Nothing(t *testing.T) {
	body, err := json.Marshal(enriched(t, openDB(t)).Report.Enrichments)
	require.NoError(t, err)
	require.Contains(t, string(body), `schema/nvd/api/2.0/cve_api_json_2.0.schema":[{}]`)
}

func TestFeeds_Refuse(t *testing.T) {
	for name, texts := range map[string][]string{
		"epss": {"", "hello", "#model_version:v1,score_date:2026-08-16\ncve,epss,percentile\n"},
		"kev":  {"", "[]", `{"vulnerabilities":[]}`, kevFile[:200]},
		"cvss": {"", "{}", `{"vulnerabilities":[]}`, nvdFile[:400]},
	} {
		for _, text := range texts {
			db := openDB(t)
			_, _, err := load(t, db, name, write(t, "feed.json", text))
			require.Error(t, err, "%s: %.40q", name, text)
			ops, err := db.GetUpdateOperations(t.Context(), clair.KindEnrichment)
			require.NoError(t, err)
			require.Empty(t, ops, "%s: %.40q", name, text)
		}
	}
}

// The newest date of a feed is how old its data are, whatever its server says.
func TestFeeds_NewestDate(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"epss", "#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z\ncve,epss,percentile\nCVE-2024-0001,0.1,0.2\n", "2026-08-16"},
		{"epss", "#model_version:v2022.01.01,score_date:2022-02-04T00:00:00+0000\ncve,epss,percentile\nCVE-2022-0001,0.1,0.2\n", "2022-02-04"},
		{"epss", "#model_version:unstated\ncve,epss,percentile\nCVE-2022-0001,0.1,0.2\n", "0001-01-01"},
		{"kev", `{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10"},{"cveID":"CVE-2020-0001","dateAdded":"2021-11-03"}]}`, "2021-12-10"},
		{"cvss", `{"vulnerabilities":[{"cve":{"id":"CVE-2021-44228","published":"2021-12-10T10:15:09.143","lastModified":"2025-02-04T15:15:13.773","metrics":{
			"cvssMetricV31":[{"type":"Primary","cvssData":{"version":"3.1","vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H","baseScore":10}}]}}}]}`, "2021-12-10"},
	} {
		t.Run(tt.name+"/"+tt.want, func(t *testing.T) {
			db := openDB(t)
			u := named(t, tt.name).NewFeed(feed.Feed{Name: tt.name, URL: write(t, "feed.json", tt.text)}, fetch.New(fetch.Config{}))
			m, err := updater.NewManager(updater.Default(), updater.Options{Store: db, Updaters: []clair.Updater{u}})
			require.NoError(t, err)
			_, err = m.Update(t.Context())
			require.NoError(t, err)
			all, err := db.UpdateStatuses(t.Context())
			require.NoError(t, err)
			require.Equal(t, tt.want, all[0].NewestAdvisory.Format(time.DateOnly))
		})
	}
}

// The real feeds, counted by other means.
func TestFeeds_Real(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "corpus")
	count := func(path, what string) int {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		z, err := gzip.NewReader(f)
		require.NoError(t, err)
		b, err := io.ReadAll(z)
		require.NoError(t, err)
		return strings.Count(string(b), what)
	}
	db := openDB(t)
	epss := filepath.Join(dir, "feeds/epss/epss_scores-2026-08-16.csv.gz")
	res, skipped, err := load(t, db, "epss", epss)
	require.NoError(t, err)
	require.Zero(t, skipped)
	require.EqualValues(t, count(epss, "\nCVE-")+1, res.Added, "one for each CVE, and what they share")
	for _, at := range []string{"feeds", "feeds-next"} {
		kev := filepath.Join(dir, at, "kev/known_exploited_vulnerabilities.json.gz")
		res, skipped, err = load(t, db, "kev", kev)
		require.NoError(t, err)
		require.Zero(t, skipped)
		require.EqualValues(t, count(kev, `"cveID"`)+1, res.Added+res.Unchanged)
	}
	nvd := filepath.Join(dir, "feeds/nvd/nvd-cve-2.0-page.json.gz")
	res, _, err = load(t, db, "cvss", nvd)
	require.NoError(t, err)
	require.Positive(t, res.Added)
	require.LessOrEqual(t, res.Added, int64(count(nvd, `"vulnStatus"`)))
}

func FuzzFeeds(f *testing.F) {
	f.Add("epss", epssFile)
	f.Add("kev", kevFile)
	f.Add("cvss", nvdFile)
	f.Fuzz(func(t *testing.T, name, text string) {
		for _, e := range enrich.All() {
			if e.Name != name {
				continue
			}
			u := e.NewFeed(feed.Feed{Name: name, URL: "unused.json"}, fetch.New(fetch.Config{})).(clair.EnrichmentUpdater)
			for r, err := range u.ParseEnrichment(t.Context(), io.NopCloser(strings.NewReader(text))) {
				if err == nil && (len(r.Tags) == 0 || !json.Valid(r.Enrichment)) {
					t.Fatalf("a record of no use: %v", r)
				}
			}
		}
	})
}
