package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/server"
)

// reportOf returns an index report with numbers of packages by place: a release,
// an ecosystem, or another distribution if it begins with "?".
func reportOf(t *testing.T, places map[string]int) string {
	t.Helper()
	r := clair.IndexReport{
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{}, Repositories: map[string]*clair.Repository{},
	}
	for place, n := range places {
		env := clair.Environment{PackageDB: "db"}
		release, isRelease := distro.ReleaseByName(place)
		id, version, _ := strings.Cut(strings.TrimPrefix(place, "?"), ":")
		switch {
		case isRelease:
			r.Distributions[place], env.DistributionID = release.Distribution(), place
		case place[0] == '?':
			r.Distributions[place], env.DistributionID = &clair.Distribution{DID: id, VersionID: version}, place
		default:
			r.Repositories[place], env.RepositoryIDs = &clair.Repository{Name: place}, []string{place}
		}
		for i := range n {
			key := fmt.Sprint(place, "-", i)
			r.Packages[key] = &clair.Package{Name: fmt.Sprint("p", i), Version: "1.0"}
			r.Environments[key] = []clair.Environment{env}
		}
	}
	b, err := json.Marshal(r)
	require.NoError(t, err)
	return string(b)
}

// A report says which places are not covered, in its header and in the response
// to a request for its coverage; one whose places are all covered does not.
func TestCoverage(t *testing.T) { worldInBubble(t, testCoverage) }

func testCoverage(t *testing.T, w world) {
	w.fill("debian:12", 3)
	w.update("osv/PyPI", row("PYSEC-1", "pypi", "requests", ""))
	w.feeds.catalogue["npm"] = []clair.Offer{{Feed: "osv/npm"}}
	w.feeds.catalogue["alpine:3.23"] = []clair.Offer{{Feed: "alpine/3.23"}}
	w.feeds.list = []feed.Feed{{Name: "alpine/3.23", Format: "alpine", Enabled: true}}
	put := func(places map[string]int) {
		require.Contains(t, []int{200, 201}, w.do("PUT", iRep+hashA, reportOf(t, places)).StatusCode)
	}

	put(map[string]int{"debian:12": 2, "pypi": 1})
	a := w.do("GET", vRep+hashA, "")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Empty(t, a.Header["Oriel-Not-Covered"])
	require.Equal(t, "max-age=3600", a.Header.Get("Cache-Control"))

	put(map[string]int{"debian:12": 2, "npm": 3, "alpine:3.23": 12, "?slackware:15.0": 1})
	a = w.do("GET", vRep+hashA, "")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(t, "alpine:3.23;packages=12, npm;packages=3, slackware:15.0;packages=1", a.Header.Get("Oriel-Not-Covered"))
	require.Equal(t, "alpine/3.23", a.Header.Get("Oriel-Partial"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))

	a = w.do("GET", "/matcher/api/v1/coverage/"+hashA, "")
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	var got struct {
		Hash   string `json:"manifest_hash"`
		Places []struct {
			Place    string
			Packages int
			Covered  bool
			Feeds    []string
			Ended    *string
			Reason   string
			Hint     string
		}
		Unmatched []any
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))
	require.Equal(t, hashA, got.Hash)
	require.NotNil(t, got.Unmatched)
	var lines []string
	for _, p := range got.Places {
		lines = append(lines, fmt.Sprint(p.Place, " ", p.Packages, " ", p.Covered, " ", p.Feeds, " ", p.Reason, " ", p.Hint))
	}
	require.Equal(t, []string{
		"alpine:3.23 12 false [] never-fetched Run: oriel update alpine/3.23.",
		"npm 3 false [] no-feed Enable osv/npm in the configuration.",
		"slackware:15.0 1 false [] unknown-distribution No feed is known for the distribution.",
		"debian:12 2 true [feed/debian:12]  ",
	}, lines)
}

func TestCoverage_Refuses(t *testing.T) {
	w := newWorld(t)
	w.refuses(w.do("GET", "/matcher/api/v1/coverage/"+hashA, ""), 404, "not-found")
	w.refuses(w.do("GET", "/matcher/api/v1/coverage/sha256:x", ""), 400, "bad-request")
	w.refuses(w.do("DELETE", "/matcher/api/v1/coverage/"+hashA, ""), 405, "method-not-allowed")
}

// A report that is requested before there are any data lists the missing feeds.
func TestCoverage_WithoutData(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, reportOf(t, map[string]int{"debian:12": 2, "npm": 1})).StatusCode)
	a := w.do("GET", vRep+hashA, "")
	require.Equal(t, 202, a.StatusCode)
	require.Empty(t, a.body)
	require.Equal(t, "debian:12;packages=2, npm;packages=1", a.Header.Get("Oriel-Not-Covered"))
	require.Empty(t, w.do("GET", vRep+hashB, "").Header["Oriel-Not-Covered"])
}

// A client can make up any number of distributions: the header stays short, and
// counts every package.
func TestCoverage_LongHeader(t *testing.T) {
	w := newWorld(t)
	w.update("osv/PyPI", row("PYSEC-1", "pypi", "requests", ""))
	places := map[string]int{}
	for i := range 500 {
		places[fmt.Sprintf("?made-up-%d, \r\n;x=1:1", i)] = 2
	}
	require.Equal(t, 201, w.do("PUT", iRep+hashA, reportOf(t, places)).StatusCode)
	a := w.do("GET", vRep+hashA, "")
	text := a.Header.Get("Oriel-Not-Covered")
	require.Less(t, len(text), 2200)
	sum := 0
	for part := range strings.SplitSeq(text, ", ") {
		var n int
		_, err := fmt.Sscanf(part[strings.Index(part, ";packages="):], ";packages=%d", &n)
		require.NoError(t, err, part)
		sum += n
	}
	require.Equal(t, 1000, sum)
}

// Oriel-Partial names only feeds that the places of the report need: a report of
// Debian is complete although Maven's feed has never been fetched.
func TestCoverage_Partial(t *testing.T) { worldInBubble(t, testPartial) }

func testPartial(t *testing.T, w world) {
	w.fill("debian:12", 3)
	w.feeds.list = []feed.Feed{
		{Name: "feed/debian:12", Format: "debian", Enabled: true}, {Name: "maven", Format: "osv", Enabled: true},
		{Name: "backports", Format: "osv", Enabled: true}, {Name: "mirror", Format: "clair", Enabled: true},
	}
	w.feeds.catalogue["maven"] = []clair.Offer{{Feed: "maven"}}
	w.feeds.catalogue["debian:12"] = []clair.Offer{{Feed: "feed/debian:12"}, {Feed: "backports"}}
	succeeded := func(feed string, ago time.Duration) {
		require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
			Updater: feed, Kind: clair.KindVulnerability, LastAttempt: time.Now().Add(-ago), LastSuccess: time.Now().Add(-ago),
		}))
		time.Sleep(2 * time.Second) // the state of feeds is cached
	}
	partial := func(place string) string {
		require.Contains(t, []int{200, 201}, w.do("PUT", iRep+hashA, reportOf(t, map[string]int{place: 1})).StatusCode)
		a := w.do("GET", vRep+hashA, "")
		require.Equal(t, http.StatusOK, a.StatusCode, a.body)
		return a.Header.Get("Oriel-Partial")
	}
	succeeded("feed/debian:12", 0)
	require.Equal(t, "backports,mirror", partial("debian:12"), "a mirror may have advisories for any place")
	require.Equal(t, "maven,mirror", partial("maven"))
	succeeded("mirror", 0)
	succeeded("backports", 0)
	require.Empty(t, partial("debian:12"))
	require.Equal(t, "maven", partial("maven"))
	succeeded("feed/debian:12", 100*time.Hour)
	require.Equal(t, "feed/debian:12", partial("debian:12"), "its data are old")
	synctest.Wait()
}

// needer records what is needed.
type needer struct{ places []string }

func (n *needer) Need(_ context.Context, places ...string) ([]string, error) {
	n.places = append(n.places, places...)
	if slices.Contains(places, "debian:11") {
		return nil, errors.New("no room")
	}
	return nil, nil
}

// A manifest, an SBOM and a report need the feeds of their places, and a finding
// without a severity needs NVD's. A failure does not fail the request.
func TestCoverage_NeedsFeeds(t *testing.T) {
	w, n := newWorld(t), &needer{}
	r := newRegistry(t)
	cfg := index.Default()
	cfg.AllowPrivate = true
	log := slog.New(slog.DiscardHandler)
	layers := index.NewFetcher(cfg, t.TempDir())
	t.Cleanup(layers.CloseIdleConnections)
	w.handler = server.New(server.Options{
		Manifests: w.db, Updates: w.db, Matcher: matcher{w.db}, Needer: n, Log: log, IndexState: state,
		Indexer: index.NewIndexer(cfg, w.db, layers, log),
	})
	needs := func(want ...string) {
		t.Helper()
		require.ElementsMatch(t, want, slices.Compact(slices.Sorted(slices.Values(n.places))))
		n.places = nil
	}
	places := map[string]int{"debian:12": 3, "npm": 1, "centos:9": 1, "?slackware:15.0": 1}
	require.Equal(t, 201, w.do("PUT", iRep+hashA, reportOf(t, places)).StatusCode)
	needs("debian:12", "npm", "rhel:9")
	require.Equal(t, 202, w.do("GET", vRep+hashA, "").StatusCode)
	needs("debian:12", "npm", "rhel:9")
	sbom := `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"library","name":"x","purl":"pkg:npm/x@1"}]}`
	require.Equal(t, 201, w.do("POST", iPost, sbom, "Content-Type", "application/vnd.cyclonedx+json").StatusCode)
	needs("npm")
	l := r.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0")), "")
	require.Equal(t, 201, w.do("POST", iPost, r.manifest(hashB, l)).StatusCode)
	needs("alpine:3.18")

	w.update("feed", row("PYSEC-1", "npm", "p0", ""))
	require.Equal(t, 200, w.do("GET", vRep+hashA, "").StatusCode)
	needs("debian:12", "npm", "rhel:9")
	unknown := row("PYSEC-2", "npm", "p0", "")
	unknown.Severity, unknown.NormalizedSeverity = "", clair.Unknown
	w.update("feed", unknown)
	require.Equal(t, 200, w.do("GET", vRep+hashA, "").StatusCode)
	needs("debian:12", "npm", "rhel:9", "nvd")

	require.Equal(t, 200, w.do("PUT", iRep+hashA, reportOf(t, map[string]int{"debian:11": 1})).StatusCode)
	needs("debian:11")
}
