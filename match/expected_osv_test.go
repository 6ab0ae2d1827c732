package match_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/store"
)

// languageFeeds are the ecosystems' own databases, the newer ones.
var languageFeeds = []feed{
	{format: "osv", path: "feeds-next/osv/Go/all.zip"}, {format: "osv", path: "feeds-next/osv/PyPI/all.zip"}, {format: "osv", path: "feeds/osv/crates.io/all.zip"},
}

// languageReport is the report of one package of a language.
func languageReport(t testing.TB, db *store.DB, ecosystem, name, version string) []string {
	t.Helper()
	e, ok := clair.EcosystemByOSV(ecosystem)
	require.True(t, ok, ecosystem)
	return idsOf(reportOf(t, db, inventory(nil, item{name: name, version: version, repo: e.Repository})))
}

// TestExpected_OSV asks what was asked of the API of osv.dev. Where its answer
// and the feeds are of the same date they must be equal. Elsewhere one of them
// knows more, which is all that may differ.
func TestExpected_OSV(t *testing.T) {
	db := openStore(t)
	importFeeds(t, db, languageFeeds...)
	count := map[string]int{}
	for _, q := range table(t, readFile(t, "expected/public/osv-api/queries.tsv")) {
		if q[5] == "-" {
			continue // no feed in the corpus
		}
		want := []string(nil)
		if q[4] != "-" {
			want = strings.Split(q[4], ",")
			slices.Sort(want)
		}
		got := languageReport(t, db, q[0], q[1], q[2])
		query := strings.Join(q[:3], " ")
		switch q[5] {
		case "agree":
			require.Equal(t, want, got, query)
		case "corpus-has-less":
			require.Subset(t, want, got, query)
		case "corpus-has-more":
			require.Subset(t, got, want, query)
		default:
			common := slices.DeleteFunc(slices.Clone(got), func(id string) bool { return !slices.Contains(want, id) })
			require.NotEmpty(t, common, query)
			t.Logf("%s: %v, where osv.dev said %v", query, got, want)
		}
		count[q[5]]++
	}
	t.Logf("osv-api: %v", count)
}

// advisoryOf names the advisories that the API answers with for a CVE which
// the security tracker lists by itself.
var advisoryOf = map[string]string{
	"CVE-2022-1292": "DLA-3008-1", // openssl 1.1.0l-1~deb9u6 of Debian 9
}

// TestExpected_OSVDistributions asks the questions about distributions that
// have a feed in the corpus. The answers are years younger than the feeds, so
// they know much more; what the feeds find must be among it.
func TestExpected_OSVDistributions(t *testing.T) {
	db := openStore(t)
	fed := map[string]bool{}
	for _, v := range importFeeds(t, db, distributionFeeds(t)...) {
		if r, ok := distro.ReleaseOf(v.Dist); ok {
			fed[r.Platform] = true
		}
	}
	queries, found := 0, 0
	for _, q := range table(t, readFile(t, "expected/public/osv-api/queries.tsv")) {
		if place, ok := distro.ReleaseByName(q[0]); !ok || !fed[place.Platform] {
			continue
		}
		queries++
		r := reportOf(t, db, inventory(release(t, q[0]), item{name: q[1], version: q[2], source: q[1], sourceVersion: q[2]}))
		answer := strings.Split(q[3], ",")
		for _, id := range idsOf(r) {
			found++
			require.True(t, slices.ContainsFunc(answer, func(a string) bool {
				return a == advisoryOf[id] || a == id || strings.HasSuffix(a, "-"+id)
			}), "%v: %s is not in the answer", q[:3], id)
		}
	}
	t.Logf("osv-api, distributions: %d queries, %d findings, none that the answers lack", queries, found)
}

// TestExpected_Labels checks labels that people gave to findings in real
// images: true positives must be found, and false ones must not. Rows that a
// comparison of versions cannot decide, according to the corpus, are left out.
func TestExpected_Labels(t *testing.T) {
	db := openStore(t)
	aliases := aliasesOf(importFeeds(t, db, append(slices.Clone(languageFeeds), feed{format: "osv", path: "expected/public/match-labels/AlmaLinux-8.extract.zip"})...))
	count := map[string]int{}
	for _, l := range table(t, readFile(t, "expected/public/match-labels/labels.tsv")) {
		var ids []string
		if strings.HasPrefix(l[1], "AlmaLinux") {
			dist := release(t, l[1])
			dist.VersionID, dist.Version = "8.5", "8.5 (Arctic Sphynx)" // as the image has it
			r := reportOf(t, db, inventory(dist, item{name: l[2], version: l[3], arch: "x86_64"}))
			require.Empty(t, r.Incomparable)
			ids = idsOf(r)
		} else {
			ids = languageReport(t, db, l[1], l[2], l[3])
		}
		found := slices.ContainsFunc(ids, func(id string) bool {
			return id == l[4] || slices.Contains(aliases[id], l[5])
		})
		if l[7] != "agree" {
			count[l[7]]++
			if found != (l[6] == "TP") && l[7] == "disagree" {
				count["disagree, Oriel too"]++
			}
			continue
		}
		require.Equal(t, l[6] == "TP", found, "%v: found %v", l, ids)
		count[l[6]+" as labelled"]++
	}
	t.Logf("match-labels: %v", count)
}
