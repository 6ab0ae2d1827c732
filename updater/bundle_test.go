package updater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/bundle"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/store"
	"oriel/updater/mirror"
)

// openAny opens bundles as the program does, without keys.
func openAny(ctx context.Context, f *fetch.File, _ string) (mirror.Contents, error) {
	return bundle.Open(ctx, f, f.Size())
}

// bundleUpdater makes the updater of a table of the format "bundle".
func bundleUpdater(t testing.TB, table map[string]any) clair.Updater {
	t.Helper()
	all := feed.Registry{mirror.BundleFormat(openAny)}
	table["format"] = "bundle"
	f, err := all.ParseFeed(table, "feed", t.TempDir())
	require.NoError(t, err)
	u, err := all.New(f, fetch.New(fetch.Config{Retries: -1, TempDir: t.TempDir()}))
	require.NoError(t, err)
	return u
}

// exporter is a box that hands out what its database has.
type exporter struct {
	*httptest.Server
	t  *testing.T
	db *store.DB

	// mu guards what follows.
	mu     sync.Mutex
	asked  []string // the If-None-Match of each request
	damage bool
}

func newExporter(t *testing.T) *exporter {
	t.Helper()
	e := &exporter{t: t, db: openStore(t)}
	e.Server = httptest.NewServer(e)
	t.Cleanup(func() {
		e.Close()
		require.NoError(t, e.db.Close())
	})
	return e
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, r.Header.Get("If-None-Match"))
	l, err := e.db.Latest(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer l.Close()
	tag := `"`
	for _, s := range l.States() {
		tag += string(s.Fingerprint)
	}
	tag += `"`
	w.Header().Set("Etag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	var b bytes.Buffer
	if _, err := bundle.Write(r.Context(), &b, l, bundle.Options{}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if e.damage {
		b.Bytes()[b.Len()/2]++
	}
	_, _ = w.Write(b.Bytes())
}

// requests returns the If-None-Match of each request since the last call.
func (e *exporter) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := e.asked
	e.asked = nil
	return asked
}

func (e *exporter) setDamage(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.damage = on
}

var someDay = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// update makes operations of an updater with n rows, as a run at some time would.
func (e *exporter) update(name, format string, n int, at time.Time) {
	e.t.Helper()
	fp := clair.Fingerprint(fmt.Sprint(name, n))
	kind := clair.KindVulnerability
	var err error
	if format == "epss" {
		kind = clair.KindEnrichment
		_, err = e.db.UpdateEnrichments(e.t.Context(), name, fp, func(yield func(clair.EnrichmentRecord, error) bool) {
			for i := range n {
				if !yield(clair.EnrichmentRecord{Tags: []string{fmt.Sprint("CVE-", i)}, Enrichment: []byte(`{}`)}, nil) {
					return
				}
			}
		})
	} else {
		_, err = e.db.UpdateVulnerabilities(e.t.Context(), name, fp, rowsOf(n, 0))
	}
	require.NoError(e.t, err)
	require.NoError(e.t, e.db.SetUpdateStatus(e.t.Context(), clair.UpdateStatus{Updater: name, Kind: kind, Format: format, LastSuccess: at}))
}

func TestBundleFeed(t *testing.T) {
	e := newExporter(t)
	e.update("osv/Go", "osv", 5, someDay)
	e.update("scores", "epss", 7, someDay.Add(time.Hour))
	m, db := newManager(t, nil, bundleUpdater(t, map[string]any{"name": "box", "url": e.URL}))
	run := func(m *Manager) Result {
		t.Helper()
		res, err := m.Update(t.Context())
		require.NoError(t, err)
		return res[0]
	}
	require.Len(t, run(m).Operations, 2)
	require.Len(t, contents(t, db, "osv/Go"), 5)
	s := status(t, m, "osv/Go")
	require.Equal(t, "osv", s.Format)
	require.Equal(t, someDay, s.LastSuccess, "it is as old here as it is there")
	require.EqualValues(t, "osv/Go5", s.Fingerprint)
	require.Equal(t, "epss", status(t, m, "scores").Format)
	require.Equal(t, clair.KindEnrichment, status(t, m, "scores").Kind)
	require.Empty(t, status(t, m, "box").Error)

	// Unchanged: it is not sent again, not even to a manager that has only
	// been started.
	require.True(t, run(m).Unchanged())
	m = manage(t, db, nil, bundleUpdater(t, map[string]any{"name": "box", "url": e.URL}))
	require.True(t, run(m).Unchanged())
	require.Equal(t, []string{"", `"osv/Go5scores7"`, `"osv/Go5scores7"`}, e.requests())
	require.Equal(t, "osv", status(t, m, "osv/Go").Format, "members are listed though the manager has not met them")

	// One feed changed there: that one is changed here.
	e.update("osv/Go", "osv", 6, someDay.Add(2*time.Hour))
	res := run(m)
	require.Len(t, res.Operations, 1)
	require.EqualValues(t, 1, res.Operations[0].Added)
	require.Len(t, res.Members, 2)
	require.Equal(t, someDay.Add(2*time.Hour), status(t, m, "osv/Go").LastSuccess)

	// A damaged bundle changes nothing, and is asked for again.
	e.update("osv/Go", "osv", 2, someDay.Add(3*time.Hour))
	e.setDamage(true)
	out, err := m.Update(t.Context())
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.Empty(t, out[0].Members)
	require.Len(t, contents(t, db, "osv/Go"), 6)
	require.Contains(t, status(t, m, "box").Error, "damaged or truncated")
	e.setDamage(false)
	e.requests()
	require.Len(t, run(m).Operations, 1)
	require.Equal(t, []string{`"osv/Go6scores7"`}, e.requests())
	require.Len(t, contents(t, db, "osv/Go"), 2)
}

// A name is one feed's.
func TestBundleFeed_Names(t *testing.T) {
	e := newExporter(t)
	e.update("a", "osv", 2, someDay)
	e.update("b", "osv", 3, someDay)
	own := &fake{name: "a", parse: rowsOf(9, 0)}
	m, db := newManager(t, nil, own, bundleUpdater(t, map[string]any{"name": "box", "url": e.URL}),
		bundleUpdater(t, map[string]any{"name": "more", "url": e.URL, "updaters": []any{"b", "c"}, "prefix": "far/"}))
	_, err := m.Update(t.Context(), "a", "box")
	require.ErrorIs(t, err, clair.ErrConflict)
	require.ErrorContains(t, err, "a is the name of a feed here")
	require.Len(t, contents(t, db, "a"), 9)
	require.Len(t, contents(t, db, "b"), 3, "the others are taken")
	_, err = m.Update(t.Context(), "box")
	require.Error(t, err)
	require.Equal(t, []string{"", ""}, e.requests(), "what was not taken whole is asked for whole")

	_, err = m.Update(t.Context(), "more")
	require.ErrorContains(t, err, `updater "c": not found there`)
	require.Len(t, contents(t, db, "far/b"), 3)
	require.Empty(t, contents(t, db, "far/a"))
}

// given are contents held in memory.
type given []*clair.FeedContent

func (g given) Contents(context.Context) iter.Seq2[*clair.FeedContent, error] {
	return func(yield func(*clair.FeedContent, error) bool) {
		for _, c := range g {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func content(name, fp string, checked time.Time, rows iter.Seq2[*clair.Vulnerability, error]) *clair.FeedContent {
	return &clair.FeedContent{
		FeedState: clair.FeedState{
			UpdateOperation: clair.UpdateOperation{Updater: name, Kind: clair.KindVulnerability, Fingerprint: clair.Fingerprint(fp)},
			Format:          "osv", Checked: checked,
		},
		Vulnerabilities: rows,
	}
}

func TestManager_ImportContents(t *testing.T) {
	block := make(chan struct{})
	running := &fake{name: "running", parse: rowsOf(1, 0), fetch: func(context.Context, clair.Fingerprint) (clair.Fingerprint, error) {
		block <- struct{}{}
		<-block
		return "own", nil
	}}
	m, db := newManager(t, func(_ *Config, o *Options) { o.Formats = map[string]string{"running": "osv", "other": "alpine"} },
		running, &fake{name: "other", parse: rowsOf(1, 0)}, bundleUpdater(t, map[string]any{"name": "set", "url": "http://127.0.0.1:1"}))
	broken := errors.New("broken")
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = m.Update(t.Context(), "running") })
	<-block
	res, err := m.ImportContents(t.Context(), given{
		content("good", "1", someDay, rowsOf(3, 0)),
		content("running", "1", someDay, rowsOf(3, 0)), // though it is waiting for its far side
		content("other", "1", someDay, rowsOf(3, 0)),
		content("set", "1", someDay, rowsOf(3, 0)),
		content("a\nb", "1", someDay, rowsOf(3, 0)),
		content("breaks", "1", someDay, func(yield func(*clair.Vulnerability, error) bool) {
			if yield(vuln("V"), nil) {
				yield(nil, broken)
			}
		}),
		content("late", "", time.Time{}, rowsOf(2, 0)),
	})
	require.Len(t, contents(t, db, "running"), 3)
	block <- struct{}{}
	wg.Wait()
	require.Len(t, contents(t, db, "running"), 1)
	require.ErrorIs(t, err, broken)
	require.Len(t, res, 7)
	says := []string{"", "", `"alpine" here, and one of format "osv" there`, "set is a feed of format", "is not valid here", "broken", ""}
	for i, r := range res {
		if says[i] == "" {
			require.NoError(t, r.Err)
			require.Len(t, r.Operations, 1)
		} else {
			require.ErrorContains(t, r.Err, says[i])
		}
	}
	require.Empty(t, contents(t, db, "breaks"))
	known, err := db.UpdateStatuses(t.Context())
	require.NoError(t, err)
	require.Contains(t, statusOf(known, "breaks").Error, "broken")
	require.Len(t, contents(t, db, "good"), 3)
	require.True(t, strings.HasPrefix(string(status(t, m, "late").Fingerprint), "ref:"))

	one := func(c *clair.FeedContent) Result {
		t.Helper()
		res, err := m.ImportContents(t.Context(), given{c})
		require.NoError(t, err)
		return res[0]
	}
	require.True(t, one(content("good", "1", someDay, rowsOf(3, 0))).Unchanged())
	require.True(t, one(content("good", "0", someDay.Add(-time.Hour), rowsOf(1, 0))).Older)
	require.Equal(t, someDay, status(t, m, "good").LastSuccess)
	require.Len(t, contents(t, db, "good"), 3)
	require.True(t, one(content("good", "1", someDay.Add(time.Hour), rowsOf(3, 0))).Unchanged())
	require.Equal(t, someDay.Add(time.Hour), status(t, m, "good").LastSuccess, "it was found current again")
	require.True(t, one(content("good", "1", someDay, rowsOf(3, 0))).Unchanged())
	require.Equal(t, someDay.Add(time.Hour), status(t, m, "good").LastSuccess)
	future := time.Now().Add(24 * time.Hour)
	require.Len(t, one(content("good", "2", future, rowsOf(4, 0))).Operations, 1)
	require.False(t, status(t, m, "good").LastSuccess.After(time.Now()), "nothing succeeds in the future")
}
