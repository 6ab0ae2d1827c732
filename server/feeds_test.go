package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/server"
	"oriel/store"
	"oriel/updater"
)

const (
	feedsPath = "/matcher/api/v1/feeds"
	runPath   = "/matcher/api/v1/feeds/run"
)

// feeds are the feeds of a world, initially none.
type feeds struct {
	cfg     updater.Config
	list    []feed.Feed
	db      *store.DB
	updates *updater.Manager
	// catalogue has the feeds by platform.
	catalogue catalogue
}

// catalogue is a match.Catalogue.
type catalogue map[string][]clair.Offer

func (c catalogue) Offers(platform string) []clair.Offer { return c[platform] }

func newFeeds(db *store.DB) *feeds {
	return &feeds{cfg: updater.Default(), db: db, catalogue: catalogue{}}
}

func (f *feeds) Feeds(ctx context.Context) (clair.Feeds, error) {
	return updater.Health{Store: f.db, Formats: updater.Formats(), Config: f.cfg, Configured: f.list, Manager: f.updates}.Feeds(ctx)
}

func (f *feeds) Start(ctx context.Context, names ...string) ([]string, error) {
	return f.updates.Start(ctx, names...)
}

func (f *feeds) Accept(ctx context.Context, names ...string) error {
	return f.updates.Accept(ctx, names...)
}

// add adds feeds of local files, which a manager runs until the test ends.
func (w world) add(list ...feed.Feed) {
	w.Helper()
	client := fetch.New(fetch.Config{})
	var all []clair.Updater
	for _, f := range list {
		u, err := updater.Formats().New(f, client)
		require.NoError(w, err)
		if f.Enabled {
			all = append(all, u)
		}
	}
	cfg := updater.Default()
	cfg.AtStart, cfg.Interval = false, 0
	m, err := updater.NewManager(cfg, updater.Options{Store: w.db, Updaters: all})
	require.NoError(w, err)
	w.feeds.cfg, w.feeds.list, w.feeds.updates = cfg, list, m
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	w.Cleanup(func() {
		stop()
		require.NoError(w, <-done)
	})
}

// run starts all feeds.
func (w world) run() answer {
	w.Helper()
	a := w.do("POST", runPath, "")
	require.Equal(w, 202, a.StatusCode, a.body)
	return a
}

// osvFile writes a feed of one advisory, from before the start of a bubble's
// clock (2000).
func osvFile(t *testing.T, id string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "osv")
	require.NoError(t, os.Mkdir(dir, 0o700))
	record := fmt.Sprintf(`{"id":%q,"modified":"1999-01-01T00:00:00Z","published":"1999-03-01T10:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"p"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`, id)
	require.NoError(t, os.WriteFile(filepath.Join(dir, id+".json"), []byte(record), 0o600))
	return dir
}

// list returns the feeds by name. The world is in a bubble: no feed is running
// when its goroutines are blocked.
func (w world) list() map[string]api.FeedStatus {
	w.Helper()
	synctest.Wait()
	a := w.do("GET", feedsPath, "")
	require.Equal(w, 200, a.StatusCode, a.body)
	var l api.FeedList
	require.NoError(w, json.Unmarshal([]byte(a.body), &l))
	out := map[string]api.FeedStatus{}
	for _, f := range l.Feeds {
		require.False(w, f.Running, f.Name)
		out[f.Name] = f
	}
	return out
}

func TestFeeds(t *testing.T) { worldInBubble(t, testFeeds) }

func testFeeds(t *testing.T, w world) {
	secret := "https://me:hunter2@example.test/feed?key=hunter3"
	w.add(
		feed.Feed{Name: "osv/Go", Format: "osv", URL: osvFile(t, "GO-1"), Enabled: true},
		feed.Feed{Name: "broken", Format: "osv", URL: "file:" + filepath.Join(t.TempDir(), "nothing"), Enabled: true},
		feed.Feed{Name: "off", Format: "osv", URL: secret},
	)
	all := w.list()
	require.Equal(t, clair.FeedMissing, all["osv/Go"].State)
	require.Nil(t, all["osv/Go"].LastAttempt)
	require.Equal(t, clair.FeedOff, all["off"].State)
	a := w.do("GET", feedsPath, "")
	require.NotContains(t, a.body, "hunter")
	require.Contains(t, a.body, "example.test/feed")
	require.Contains(t, a.body, `"last_success":null`)

	w.notReady("osv/Go,broken")
	w.refuses(w.do("POST", runPath+"?name=nosuch", ""), 404, "not-found")
	w.refuses(w.do("POST", runPath+"?name=off", ""), 404, "not-found")
	w.refuses(w.do("POST", runPath+"?name=", ""), 400, "bad-request")
	w.refuses(w.do("GET", runPath, ""), 405, "method-not-allowed")

	require.JSONEq(t, `{"started":["osv/Go","broken"]}`, w.run().body)
	all = w.list()
	ok := all["osv/Go"]
	require.Equal(t, clair.FeedOK, ok.State)
	require.EqualValues(t, 1, ok.Records)
	require.NotNil(t, ok.Operation)
	require.NotNil(t, ok.LastSuccess)
	require.Equal(t, time.Date(1999, 3, 1, 10, 0, 0, 0, time.UTC), *ok.NewestAdvisory)
	require.Empty(t, ok.Error)
	require.Equal(t, clair.FeedMissing, all["broken"].State)
	require.NotEmpty(t, all["broken"].Error)
	require.NotNil(t, all["broken"].LastAttempt)
	require.Nil(t, all["broken"].LastSuccess)
	w.notReady("")
}

// UPD-08: if feeds are missing, failed or stale, reports and everything that
// shows feeds say so.
func TestFeeds_Lagging(t *testing.T) { worldInBubble(t, testLagging) }

func testLagging(t *testing.T, w world) {
	w.add(
		feed.Feed{Name: "fine", Format: "osv", URL: osvFile(t, "GO-1"), Enabled: true},
		feed.Feed{Name: "old", Format: "osv", URL: osvFile(t, "GO-2"), Enabled: true},
		feed.Feed{Name: "dead", Format: "osv", URL: osvFile(t, "GO-3"), Enabled: true},
	)
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(func(r map[string]any) { r["manifest_hash"] = hashA })).StatusCode)
	w.update("osv/PyPI", row("PYSEC-1", "pypi", "other", ""))
	w.run()
	w.list()
	report := func() answer {
		a := w.do("GET", vRep+hashA, "")
		require.Equal(t, 200, a.StatusCode, a.body)
		return a
	}
	require.Empty(t, report().Header["Oriel-Partial"])
	require.Equal(t, "max-age=3600", report().Header.Get("Cache-Control"))
	a := w.do("GET", "/readyz", "")
	require.Equal(t, 200, a.StatusCode)
	require.Empty(t, a.body)
	require.Empty(t, a.Header["Oriel-Partial"])

	for _, s := range []clair.UpdateStatus{
		{Updater: "old", Kind: clair.KindVulnerability, LastAttempt: time.Now().Add(-50 * time.Hour), LastSuccess: time.Now().Add(-50 * time.Hour)},
		{Updater: "dead", Kind: clair.KindVulnerability, LastAttempt: time.Now(), Error: "the server said 403"},
	} {
		require.NoError(t, w.db.SetUpdateStatus(t.Context(), s))
	}
	all := w.list()
	require.Equal(t, []clair.FeedCondition{clair.FeedOK, clair.FeedStale, clair.FeedFailed},
		[]clair.FeedCondition{all["fine"].State, all["old"].State, all["dead"].State})
	// The headers may be a second behind.
	partial := func(want string) {
		t.Helper()
		time.Sleep(time.Second)
		require.Equal(t, want, report().Header.Get("Oriel-Partial"))
	}
	partial("old,dead")
	for _, a := range []answer{report(), w.do("GET", "/readyz", "")} {
		require.Equal(t, 200, a.StatusCode, "existing data are served")
		require.Equal(t, "old,dead", a.Header.Get("Oriel-Partial"))
		require.Regexp(t, `^1800\d\d$`, a.Header.Get("Oriel-Data-Age"))
	}

	a = w.do("GET", "/readyz", "", "Accept", "application/json")
	require.Equal(t, 200, a.StatusCode)
	require.JSONEq(t, `{"ready":true,"feeds":[{"name":"old","state":"stale"},{"name":"dead","state":"failed"}]}`, a.body)

	// If a feed has no data at all, the report must not be cached.
	w.feeds.list = append(w.feeds.list, feed.Feed{Name: "new", Format: "osv", Enabled: true}, feed.Feed{Name: "maven", Format: "osv", Enabled: true})
	w.feeds.catalogue["go"], w.feeds.catalogue["maven"] = []clair.Offer{{Feed: "new"}}, []clair.Offer{{Feed: "maven"}}
	partial("old,dead,new")
	require.Equal(t, "no-store", report().Header.Get("Cache-Control"))
	w.notReady("old,dead,new,maven") // while no report needs it, only readyz names the feed of Maven

	// Hundreds of stale feeds do not make the headers too long.
	for i := range 300 {
		name := fmt.Sprintf("osv/number-%d", i)
		w.feeds.list = append(w.feeds.list, feed.Feed{Name: name, Format: "osv", Enabled: true})
		w.feeds.catalogue["go"] = append(w.feeds.catalogue["go"], clair.Offer{Feed: name})
	}
	time.Sleep(time.Second)
	names := report().Header.Get("Oriel-Partial")
	require.Greater(t, len(names), 100)
	require.Less(t, len(names), 2200)
	require.Regexp(t, `,and \d+ more$`, names)
	require.True(t, strings.HasPrefix(names, "old,dead,new,osv/number-0,"))
}

// After ready_after the server is ready, and names the feeds that are missing.
func TestReadyz_ReadyAfter(t *testing.T) {
	w := newWorld(t)
	w.feeds.list = []feed.Feed{{Name: "never", Format: "osv", Enabled: true}}
	w.notReady("")
	srv := httptest.NewServer(server.New(server.Options{Feeds: w.feeds, Log: slog.New(slog.DiscardHandler), ReadyAfter: 0}))
	defer srv.Close()
	a := world{T: t, url: srv.URL}.do("GET", "/readyz", "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "never", a.Header.Get("Oriel-Partial"))
}

// A client that needs an automatic feed does not make the server unready.
func TestReadyz_AutomaticFeed(t *testing.T) {
	w := newWorld(t)
	w.feeds.list = []feed.Feed{{Name: "alpine/v9-main", Format: "alpine", Enabled: true, Auto: true}}
	require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
		Updater: "alpine/v9-main", Kind: clair.KindVulnerability, LastAttempt: time.Now(), Error: "the server said 404",
	}))
	require.NoError(t, w.db.SetNeeded(t.Context(), time.Now(), "alpine:9", "alpine/v9-main"))
	a := w.do("GET", "/readyz", "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "alpine/v9-main", a.Header.Get("Oriel-Partial"))
}

// A feed that is held back is named, with what would accept it.
func TestFeeds_HeldBack(t *testing.T) {
	w := newWorld(t)
	w.feeds.list = []feed.Feed{{Name: "osv/Go", Format: "osv", Enabled: true}}
	w.update("osv/Go", row("GO-1", "go", "golang.org/x/net", ""))
	require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
		Updater: "osv/Go", Kind: clair.KindVulnerability, LastAttempt: time.Now(), LastSuccess: time.Now(), Records: 5000, Error: "held back",
		Held: clair.HeldState{Records: 12, Runs: 1, Since: time.Unix(1.7e9, 0)},
	}))
	a := w.do("GET", "/readyz", "", "Accept", "application/json")
	require.Equal(t, 200, a.StatusCode, "the previous data are served")
	require.Equal(t, "osv/Go", a.Header.Get("Oriel-Partial"))
	require.JSONEq(t, `{"ready":true,"feeds":[{"name":"osv/Go","state":"held",
		"detail":"12 records instead of 5000 since 2023-11-14T22:13:20Z; to accept them: oriel update --accept osv/Go"}]}`, a.body)
	require.Contains(t, w.do("GET", feedsPath, "").body, `"held":{"records":12,"runs":1,"since":"2023-11-14T22:13:20Z"}`)
	_, text, _ := pageOf(w)
	require.Contains(t, text, "osv/Go osv held back held")
	require.Equal(t, 201, w.do("PUT", iRep+hashA, indexReport(nil)).StatusCode)
	require.Equal(t, "osv/Go", w.do("GET", vRep+hashA, "").Header.Get("Oriel-Partial"))
}

// Reports use data of updaters that are not configured, such as those mirrored
// from another server.
func TestFeeds_NotConfigured(t *testing.T) { worldInBubble(t, testNotConfigured) }

func testNotConfigured(t *testing.T, w world) {
	_, err := w.db.UpdateVulnerabilities(t.Context(), "theirs", "fp", func(func(*clair.Vulnerability, error) bool) {})
	require.NoError(t, err)
	require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
		Updater: "theirs", Kind: clair.KindVulnerability, LastAttempt: time.Now().Add(-48 * time.Hour), LastSuccess: time.Now().Add(-48 * time.Hour),
	}))
	require.NoError(t, w.db.SetUpdateStatus(t.Context(), clair.UpdateStatus{Updater: "gone", LastAttempt: time.Now(), Error: "x"}))
	_, err = w.db.UpdateVulnerabilities(t.Context(), "imported", "fp", func(func(*clair.Vulnerability, error) bool) {})
	require.NoError(t, err)
	all := w.list()
	require.Len(t, all, 2, "an updater without data is not listed")
	require.Equal(t, clair.FeedOK, all["imported"].State)
	require.Equal(t, clair.FeedStale, all["theirs"].State)
	require.False(t, all["theirs"].Configured)
	require.NotNil(t, all["theirs"].Operation)
}

// notReady requires that the server is not ready and that a header names the
// given feeds.
func (w world) notReady(says string) {
	w.Helper()
	a := w.do("GET", "/readyz", "")
	require.Equal(w, 503, a.StatusCode)
	require.Empty(w, a.body)
	require.NotEmpty(w, a.Header.Get("Oriel-Partial"))
	require.Contains(w, a.Header.Get("Oriel-Partial"), says)
}

// A report without the data of an enricher says so and must not be cached.
func TestVulnerabilityReport_Partial(t *testing.T) {
	w := newWorld(t)
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	srv := httptest.NewServer(server.New(server.Options{
		Manifests: w.db, Updates: w.db, Matcher: partial{matcher{w.db}}, Log: slog.New(slog.DiscardHandler), IndexState: state, CacheAge: time.Hour,
	}))
	defer srv.Close()
	a := world{T: t, db: w.db, feeds: w.feeds, url: srv.URL}.do("GET", vRep+hashA, "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, "clair.epss,clair.kev", a.Header.Get("Oriel-Partial"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Empty(t, w.do("GET", vRep+hashA, "").Header.Get("Oriel-Partial"))
}

type partial struct{ matcher }

func (p partial) Report(ctx context.Context, r *clair.IndexReport) (*match.Result, error) {
	res, err := p.matcher.Report(ctx, r)
	if err == nil {
		res.Failures = []match.Failure{{Enricher: "clair.epss", Err: io.EOF}, {Enricher: "clair.kev", Err: io.EOF}}
	}
	return res, err
}
