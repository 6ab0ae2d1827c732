package updater

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/internal/quantity"
	"oriel/store"
)

// autoWorld has the far side of automatic feeds.
type autoWorld struct {
	catalogue *Catalogue
	mu        sync.Mutex
	fetched   []string
	failing   map[string]bool
	takes     time.Duration
}

func (w *autoWorld) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.fetched
	w.fetched = nil
	slices.Sort(out)
	return out
}

func (w *autoWorld) open(f feed.Feed) (clair.Updater, error) {
	return &fake{name: f.Name, parse: rowsOf(1, 0), fetch: func(ctx context.Context, _ clair.Fingerprint) (clair.Fingerprint, error) {
		w.mu.Lock()
		w.fetched = append(w.fetched, f.Name+" "+f.URL)
		fails := w.failing[f.Name]
		w.mu.Unlock()
		select {
		case <-time.After(w.takes):
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if fails {
			return "", errors.New("HTTP 404")
		}
		return clair.Fingerprint(fmt.Sprint(time.Now())), nil
	}}, nil
}

// enrichmentFormat is the format of enrichments in these tests.
func enrichmentFormat() feed.Format {
	return feed.Format{Name: "nvd", Kind: clair.KindEnrichment, New: func(feed.Feed, *fetch.Client) (clair.Updater, error) { return nil, nil }}
}

func testFeeds(t *testing.T, text string) []feed.Feed {
	t.Helper()
	feeds, err := append(Formats(), enrichmentFormat()).ParseFeeds(tables(t, text), "/etc/oriel")
	require.NoError(t, err)
	return feeds
}

const autoTables = `
[[feed]]
name = "alpine/v{release}-main"
format = "alpine"
url = "https://secdb.example/v{release}/main.json"
places = ["alpine:{release}"]
enabled = "auto"
[[feed]]
name = "osv/npm"
format = "osv"
url = "https://osv.example/npm/all.zip"
enabled = "auto"
[[feed]]
name = "nvd"
format = "nvd"
url = "https://nvd.example/"
enabled = "auto"
`

// inAutoBubble runs a manager with automatic feeds in a bubble of its own time.
func inAutoBubble(t *testing.T, change func(*Config), f func(t *testing.T, w *autoWorld, m *Manager, db *store.DB)) {
	t.Helper()
	w := &autoWorld{failing: map[string]bool{}, takes: time.Second}
	w.catalogue = NewCatalogue(append(Formats(), enrichmentFormat()), testFeeds(t, autoTables), nil)
	synctest.Test(t, func(t *testing.T) {
		db := openStore(t)
		m := manage(t, db, func(c *Config, o *Options) {
			c.Interval = quantity.Duration(6 * time.Hour)
			if change != nil {
				change(c)
			}
			o.Catalogue, o.Open = w.catalogue, w.open
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		f(t, w, m, db)
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, db.Close())
	})
}

func TestManager_Need(t *testing.T) {
	inAutoBubble(t, nil, func(t *testing.T, w *autoWorld, m *Manager, db *store.DB) {
		time.Sleep(15 * time.Hour) // between the second cycle and the third
		require.Empty(t, w.take(), "nothing needed them")

		fetching, err := m.Need(t.Context(), "alpine:3.23", "npm", "debian:12", "alpine:3.23/../x", "nonsense")
		require.NoError(t, err)
		require.Equal(t, []string{"alpine/v3.23-main", "osv/npm"}, fetching)
		fetching, err = m.Need(t.Context(), "alpine:3.23")
		require.NoError(t, err)
		require.Equal(t, []string{"alpine/v3.23-main"}, fetching, "still running")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"alpine/v3.23-main https://secdb.example/v3.23/main.json", "osv/npm https://osv.example/npm/all.zip"}, w.take())
		fetching, err = m.Need(t.Context(), "alpine:3.23", "npm")
		require.NoError(t, err)
		require.Empty(t, fetching, "it has been fetched")
		s := autoStatus(t, m, "alpine/v3.23-main")
		require.True(t, s.Auto)
		require.Equal(t, "alpine:3.23", s.NeededFor)
		require.Equal(t, clair.FeedOK, s.Condition(time.Now()))
		require.Equal(t, clair.FeedIdle, autoStatus(t, m, "nvd").Condition(time.Now()))

		time.Sleep(24 * time.Hour)
		require.NotEmpty(t, w.take(), "what is needed is updated regularly")
		time.Sleep(29 * 24 * time.Hour)
		w.take()
		time.Sleep(2 * 24 * time.Hour)
		require.Empty(t, w.take(), "nothing has needed it for 30 days")
		require.Equal(t, clair.FeedIdle, autoStatus(t, m, "osv/npm").Condition(time.Now()))
		fetching, err = m.Need(t.Context(), "npm")
		require.NoError(t, err)
		require.Equal(t, []string{"osv/npm"}, fetching, "its data are old")
		time.Sleep(time.Minute)

		again := manage(t, db, func(_ *Config, o *Options) { o.Catalogue, o.Open = w.catalogue, w.open })
		w.take()
		results, err := again.Update(t.Context())
		require.NoError(t, err)
		require.Len(t, results, 1)
		require.Equal(t, "osv/npm", results[0].Updater, "the next process knows what is needed")
	})
}

func autoStatus(t *testing.T, m *Manager, name string) *clair.Feed {
	t.Helper()
	all, err := Health{Store: m.store.(HealthStore), Manager: m, Catalogue: m.o.Catalogue, Configured: testFeeds(t, autoTables)}.Feeds(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(f clair.Feed) bool { return f.Updater == name })
	require.GreaterOrEqual(t, i, 0, name)
	return &all[i]
}

func TestManager_Need_Failure(t *testing.T) {
	inAutoBubble(t, nil, func(t *testing.T, w *autoWorld, m *Manager, _ *store.DB) {
		w.failing["osv/npm"] = true
		_, err := m.Need(t.Context(), "npm")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Contains(t, autoStatus(t, m, "osv/npm").Error, "HTTP 404")
		require.Len(t, w.take(), 1)
		fetching, err := m.Need(t.Context(), "npm")
		require.NoError(t, err)
		require.Empty(t, fetching, "it failed a minute ago")
		time.Sleep(10 * time.Minute)
		fetching, err = m.Need(t.Context(), "npm")
		require.NoError(t, err)
		require.Equal(t, []string{"osv/npm"}, fetching)
	})
}

func TestManager_Need_Off(t *testing.T) {
	inAutoBubble(t, func(c *Config) { c.Auto = false }, func(t *testing.T, w *autoWorld, m *Manager, _ *store.DB) {
		fetching, err := m.Need(t.Context(), "npm")
		require.NoError(t, err)
		require.Empty(t, fetching)
		results, err := m.UpdateNeeded(t.Context(), "npm")
		require.NoError(t, err)
		require.Empty(t, results)
		time.Sleep(24 * time.Hour)
		require.Empty(t, w.take())
		_, err = m.Update(t.Context(), "osv/npm")
		require.NoError(t, err)
		require.Len(t, w.take(), 1, "it was asked for by its name")
	})
}

func TestManager_UpdateNeeded(t *testing.T) {
	inAutoBubble(t, func(c *Config) { c.Interval = 0 }, func(t *testing.T, w *autoWorld, m *Manager, _ *store.DB) {
		feeds, err := m.Needed(t.Context(), "centos:7", "alpine:3.22", "nvd")
		require.NoError(t, err)
		require.Len(t, feeds, 2)
		require.Equal(t, "https://secdb.example/v3.22/main.json", feeds[0].URL)
		require.Empty(t, w.take())
		results, err := m.UpdateNeeded(t.Context(), "alpine:3.22", "nvd")
		require.NoError(t, err)
		require.Len(t, results, 2)
		feeds, err = m.Needed(t.Context(), "alpine:3.22", "nvd")
		require.NoError(t, err)
		require.Empty(t, feeds)
		_, err = m.Update(t.Context(), "alpine/v3.21-main")
		require.NoError(t, err)
		_, err = m.Update(t.Context(), "alpine/v../../etc-main")
		require.ErrorIs(t, err, clair.ErrNotFound)
	})
}

func TestCatalogue_Offers(t *testing.T) {
	builtIn := testFeeds(t, autoTables)
	for _, tt := range []struct {
		name, tables string
		places       map[string]string // names of the feeds, automatic ones in brackets
	}{
		{"built_in", "", map[string]string{"alpine:3.23": "alpine/v3.23-main", "npm": "osv/npm", "alpine:edge": "", "debian:12": ""}},
		{"one_release_of_a_template", `
[[feed]]
name = "alpine/v3.22-main"
format = "alpine"
url = "file:main.json"
enabled = "auto"
`, map[string]string{"alpine:3.22": "(alpine/v3.22-main)", "alpine:3.23": "alpine/v3.23-main"}},
		{"by_ecosystems", `
[[feed]]
name = "a"
format = "osv"
url = "file:feed"
ecosystems = ["PyPI", "Debian:12", "Ubuntu"]
enabled = "auto"
`, map[string]string{"pypi": "(a)", "debian:12": "(a)", "debian:11": "", "ubuntu:26.04": "(a)", "go": ""}},
		{"by_address", `
[[feed]]
name = "a"
format = "osv"
url = "https://osv.example/Rocky%20Linux/all.zip"
[[feed]]
name = "b"
format = "alpine"
url = "https://secdb.example/v3.19/community.json"
[[feed]]
name = "c"
format = "alpine"
url = "https://packages.example/wolfi/security.json"
[[feed]]
name = "d"
format = "osv"
url = "https://osv.example/crates.io/all.zip"
`, map[string]string{"rocky:9": "a", "alpine:3.19": "b alpine/v3.19-main", "wolfi": "c", "crates.io": "d"}},
		{"by_release", `
[[feed]]
name = "a"
format = "oval"
url = "file:oval.xml"
release = "azurelinux:3"
`, map[string]string{"azurelinux:3": "a", "photon:5": ""}},
		{"by_name", `
[[feed]]
name = "mirror/npm"
format = "osv"
url = "file:feed"
[[feed]]
name = "pypi"
format = "osv"
url = "file:feed"
[[feed]]
name = "photon/5"
format = "oval"
url = "file:photon.xml"
`, map[string]string{"npm": "mirror/npm osv/npm", "pypi": "pypi", "photon:5": "photon/5", "photon:4": ""}},
		{"unknown", `
[[feed]]
name = "a"
format = "osv"
url = "file:everything"
enabled = "auto"
`, map[string]string{"photon:5": "(a)", "hex": "(a)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCatalogue(append(Formats(), enrichmentFormat()), testFeeds(t, tt.tables), builtIn)
			for place, want := range tt.places {
				var got []string
				for _, o := range c.Offers(place) {
					if o.Auto {
						o.Feed = "(" + o.Feed + ")"
					}
					got = append(got, o.Feed)
				}
				require.Equal(t, want, strings.Join(got, " "), place)
			}
			require.Empty(t, slices.DeleteFunc(c.Auto("nvd"), func(f feed.Feed) bool { return f.Format == "nvd" }))
		})
	}
}

func TestManager_MaxShrink(t *testing.T) {
	type step struct {
		rows  int
		after time.Duration
		held  bool
	}
	for _, tt := range []struct {
		name   string
		limit  float64
		steps  []step
		accept bool
	}{
		{name: "half_is_fine", limit: 0.5, steps: []step{{rows: 200}, {rows: 100}}},
		{name: "more_is_held", limit: 0.5, steps: []step{{rows: 200}, {rows: 99, held: true}, {rows: 200}, {rows: 200}}},
		{name: "few_records", limit: 0.5, steps: []step{{rows: 99}, {rows: 1}}},
		{name: "off", limit: 0, steps: []step{{rows: 200}, {rows: 1}}},
		{name: "accepted", limit: 0.5, steps: []step{{rows: 200}, {rows: 1}}, accept: true},
		{name: "taken_on_the_third_run_over_a_day", limit: 0.5, steps: []step{
			{rows: 200}, {rows: 50, held: true}, {rows: 50, after: time.Hour, held: true}, {rows: 50, after: time.Hour, held: true},
			{rows: 50, after: 24 * time.Hour},
		}},
		{name: "another_size_starts_over", limit: 0.5, steps: []step{
			{rows: 200}, {rows: 50, held: true}, {rows: 50, after: 12 * time.Hour, held: true}, {rows: 51, after: 13 * time.Hour, held: true},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{name: "f"}
				db := openStore(t)
				m := manage(t, db, func(c *Config, _ *Options) { c.MaxShrink = tt.limit }, f)
				for i, s := range tt.steps {
					time.Sleep(s.after)
					f.parse = rowsOf(s.rows, 0)
					if tt.accept {
						require.NoError(t, m.Accept(t.Context(), "f"))
					}
					_, err := m.Update(t.Context())
					got := status(t, m, "f")
					if s.held {
						require.ErrorIs(t, err, ErrHeldBack)
						require.Equal(t, clair.FeedHeld, got.Condition(time.Now()))
						require.Equal(t, int64(s.rows), got.Held.Records)
						require.Contains(t, got.Error, "oriel update --accept f")
						require.NotEqual(t, int64(s.rows), got.Records)
						continue
					}
					require.NoError(t, err, "step %d", i)
					require.Equal(t, int64(s.rows), got.Records)
					require.Zero(t, got.Held)
				}
				require.ErrorIs(t, m.Accept(t.Context(), "nonesuch"), clair.ErrNotFound)
				require.NoError(t, db.Close())
			})
		})
	}
}
