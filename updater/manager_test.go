package updater

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
	"oriel/internal/fetch"
	"oriel/internal/quantity"
	"oriel/store"
	"oriel/store/storetest"
)

var _ Store = (*store.DB)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	return db
}

// fake is an updater whose far side the test plays.
type fake struct {
	name  string
	fetch func(context.Context, clair.Fingerprint) (clair.Fingerprint, error)
	parse func(yield func(*clair.Vulnerability, error) bool)
	runs  int
}

func (f *fake) Name() string { return f.name }

func (f *fake) Fetch(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	f.runs++
	fp := clair.Fingerprint("1")
	if f.fetch != nil {
		var err error
		if fp, err = f.fetch(ctx, last); err != nil {
			return nil, "", err
		}
	}
	return io.NopCloser(strings.NewReader("")), fp, nil
}

func (f *fake) Parse(context.Context, io.ReadCloser) iter.Seq2[*clair.Vulnerability, error] {
	return f.parse
}

func vuln(name string) *clair.Vulnerability {
	return &clair.Vulnerability{Name: name, Package: &clair.Package{Name: "p", Kind: clair.Binary}, Repo: &clair.Repository{Name: "npm"}}
}

// rowsOf yields rows and skipped records.
func rowsOf(good, bad int) func(func(*clair.Vulnerability, error) bool) {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for i := range good {
			if !yield(vuln(fmt.Sprint("V-", i)), nil) {
				return
			}
		}
		for i := range bad {
			if !yield(nil, &clair.RecordError{Record: fmt.Sprint("B-", i), Err: errors.New("odd")}) {
				return
			}
		}
	}
}

// manage makes a manager over a real store, which it closes.
func manage(t testing.TB, db *store.DB, change func(*Config, *Options), updaters ...clair.Updater) *Manager {
	t.Helper()
	cfg, o := Default(), Options{Store: db, Updaters: updaters}
	if change != nil {
		change(&cfg, &o)
	}
	m, err := NewManager(cfg, o)
	require.NoError(t, err)
	return m
}

func newManager(t testing.TB, change func(*Config, *Options), updaters ...clair.Updater) (*Manager, *store.DB) {
	t.Helper()
	db := openStore(t)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return manage(t, db, change, updaters...), db
}

func status(t testing.TB, m *Manager, name string) clair.Feed {
	t.Helper()
	h := Health{Store: m.store.(HealthStore), Manager: m}
	for _, u := range m.entries {
		h.Configured = append(h.Configured, feed.Feed{Name: u.updater.Name(), Enabled: true})
	}
	all, err := h.Feeds(t.Context())
	require.NoError(t, err)
	for _, f := range all {
		if f.Updater == name {
			return f
		}
	}
	t.Fatalf("no status of %s", name)
	return clair.Feed{}
}

func TestManager_OneFailureHarmsNoOther(t *testing.T) {
	synctest.Test(t, testOneFailure)
}

func testOneFailure(t *testing.T) {
	broken := errors.New("broken")
	updaters := []clair.Updater{
		&fake{name: "good", parse: rowsOf(3, 1)},
		&fake{name: "no_fetch", fetch: func(context.Context, clair.Fingerprint) (clair.Fingerprint, error) { return "", broken }},
		&fake{name: "fetch_panics", fetch: func(context.Context, clair.Fingerprint) (clair.Fingerprint, error) { panic("in fetch") }},
		&fake{name: "parse_fails", parse: func(yield func(*clair.Vulnerability, error) bool) {
			if yield(vuln("V"), nil) {
				yield(nil, broken)
			}
		}},
		&fake{name: "parse_panics", parse: func(yield func(*clair.Vulnerability, error) bool) {
			yield(vuln("V"), nil)
			panic("in parse")
		}},
		&fake{name: "all_bad", parse: rowsOf(0, 2)},
		&fake{name: "mostly_bad", parse: rowsOf(4, 6)},
		&fake{name: "half_bad", parse: rowsOf(5, 5)},
		&fake{name: "few_bad", parse: rowsOf(1, 5)},
		&fake{name: "empty", parse: rowsOf(0, 0)},
		&fake{name: "hangs", fetch: func(ctx context.Context, _ clair.Fingerprint) (clair.Fingerprint, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}},
		&fake{name: "lies", fetch: func(context.Context, clair.Fingerprint) (clair.Fingerprint, error) { return "", clair.ErrUnchanged }},
	}
	good := map[string]int64{"good": 3, "half_bad": 5, "few_bad": 1, "empty": 0}
	m, db := newManager(t, func(c *Config, o *Options) { c.Timeout = quantity.Duration(time.Minute) }, updaters...)
	results, err := m.Update(t.Context())
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, clair.ErrUnavailable, "the one that hangs")
	require.Len(t, results, len(updaters))
	ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	for _, r := range results {
		s := status(t, m, r.Updater)
		rows, ok := good[r.Updater]
		require.Equal(t, ok, r.Err == nil, "%s: %v", r.Updater, r.Err)
		require.Equal(t, ok, s.Error == "", "%s: %s", r.Updater, s.Error)
		require.Equal(t, ok, !s.LastSuccess.IsZero(), r.Updater)
		require.Equal(t, ok, len(ops[r.Updater]) == 1, r.Updater)
		require.Equal(t, rows, s.Records, r.Updater)
		require.False(t, s.LastAttempt.IsZero())
		require.False(t, s.Running)
	}
	s := status(t, m, "good")
	require.Equal(t, int64(1), s.Skipped)
	require.Equal(t, "record B-0: odd", s.SkippedSample)
	require.Equal(t, "update parse_panics: panic: in parse", status(t, m, "parse_panics").Error)
	require.Contains(t, status(t, m, "mostly_bad").Error, "6 of 10")
}

func TestManager_FailureKeepsTheLastGoodData(t *testing.T) {
	f := &fake{name: "f", parse: rowsOf(20, 0)}
	m, db := newManager(t, nil, f)
	_, err := m.Update(t.Context())
	require.NoError(t, err)
	before := status(t, m, "f")
	f.parse = rowsOf(0, 20)
	_, err = m.Update(t.Context())
	require.ErrorIs(t, err, clair.ErrInvalid)
	after := status(t, m, "f")
	require.NotEmpty(t, after.Error)
	require.Equal(t, before.Records, after.Records)
	require.Equal(t, before.LastSuccess, after.LastSuccess)
	ops, err := db.GetUpdateOperations(t.Context(), "", "f")
	require.NoError(t, err)
	require.Len(t, ops["f"], 1)
	f.parse = rowsOf(19, 0)
	results, err := m.Update(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), results[0].Operations[0].Removed)
	require.Empty(t, status(t, m, "f").Error)
}

// revised is a fake whose parser changes.
type revised struct {
	*fake
	revision string
}

func (r revised) Revision() string { return r.revision }

func TestManager_Fingerprints(t *testing.T) {
	var last []clair.Fingerprint
	f := &fake{name: "f", parse: rowsOf(1, 0), fetch: func(_ context.Context, fp clair.Fingerprint) (clair.Fingerprint, error) {
		last = append(last, fp)
		if fp == "e1" {
			return "", clair.ErrUnchanged
		}
		return "e1", nil
	}}
	db := openStore(t)
	defer func() { require.NoError(t, db.Close()) }()
	m := manage(t, db, nil, revised{f, "r1"})
	results, err := m.Update(t.Context(), "f", "f")
	require.NoError(t, err)
	require.Len(t, results, 1, "named twice, run once")
	first := status(t, m, "f")
	results, err = m.Update(t.Context())
	require.NoError(t, err)
	require.True(t, results[0].Unchanged())
	second := status(t, m, "f")
	require.Equal(t, int64(1), second.Records)
	require.Equal(t, first.Fingerprint, second.Fingerprint)
	require.False(t, second.LastSuccess.Before(first.LastSuccess), "it was checked")

	m = manage(t, db, nil, revised{f, "r2"})
	results, err = m.Update(t.Context())
	require.NoError(t, err)
	require.False(t, results[0].Unchanged(), "another parser reads the same feed again")
	require.Equal(t, []clair.Fingerprint{"", "e1", ""}, last)
}

// enricher brings enrichments and no vulnerabilities.
type enricher struct{ clair.NoopUpdater }

func (enricher) Name() string { return "clair.test" }

func (enricher) FetchEnrichment(_ context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	if last == "1" {
		return nil, "", clair.ErrUnchanged
	}
	return io.NopCloser(strings.NewReader("")), "1", nil
}

func (enricher) ParseEnrichment(context.Context, io.ReadCloser) iter.Seq2[clair.EnrichmentRecord, error] {
	return func(yield func(clair.EnrichmentRecord, error) bool) {
		yield(clair.EnrichmentRecord{Tags: []string{"CVE-2024-3094"}, Enrichment: json.RawMessage(`{}`)}, nil)
	}
}

func TestManager_Enrichments(t *testing.T) {
	m, db := newManager(t, nil, enricher{})
	for range 2 {
		_, err := m.Update(t.Context())
		require.NoError(t, err)
		s := status(t, m, "clair.test")
		require.Equal(t, clair.KindEnrichment, s.Kind)
		require.Equal(t, int64(1), s.Records)
	}
	ops, err := db.GetUpdateOperations(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, ops["clair.test"], 1)
	initialized, err := db.Initialized(t.Context())
	require.NoError(t, err)
	require.False(t, initialized, "an enricher brings nothing to match with")
}

func TestManager_Refuses(t *testing.T) {
	m, _ := newManager(t, nil, &fake{name: "f", parse: rowsOf(1, 0)})
	_, err := m.Update(t.Context(), "nonesuch")
	require.ErrorIs(t, err, clair.ErrNotFound)
	started, err := m.Start(t.Context(), "f") // waits for Run
	require.NoError(t, err)
	require.Equal(t, []string{"f"}, started)
	over, end := context.WithCancel(t.Context())
	end()
	require.NoError(t, m.Run(over))
	_, err = m.Start(t.Context(), "f")
	require.ErrorIs(t, err, clair.ErrUnavailable)
	_, err = NewManager(Default(), Options{Updaters: []clair.Updater{&fake{name: "f"}, &fake{name: "f"}}})
	require.ErrorIs(t, err, clair.ErrInvalid)
	_, err = NewManager(Config{}, Options{})
	require.ErrorIs(t, err, clair.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Update(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, status(t, m, "f").LastAttempt.IsZero(), "being stopped says nothing of the feed")
}

// TestManager_Keep leaves no more operations than asked.
func TestManager_Keep(t *testing.T) {
	f := &fake{name: "f"}
	m, db := newManager(t, func(c *Config, _ *Options) { c.Keep = 2 }, f)
	for i := range 4 {
		f.parse = rowsOf(i+1, 0)
		_, err := m.Update(t.Context())
		require.NoError(t, err)
	}
	ops, err := db.GetUpdateOperations(t.Context(), "", "f")
	require.NoError(t, err)
	require.Len(t, ops["f"], 2)
}

// TestManager_OSV runs a feed over HTTP from the server to the store.
func TestManager_OSV(t *testing.T) {
	archive := feedtest.ZipOf(t, feedtest.GoRecord, feedtest.PyRecord, "{broken")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+fmt.Sprint(len(archive))+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(archive)))
	}))
	defer s.Close()
	client := fetch.New(fetch.Config{TempDir: t.TempDir()})
	defer client.CloseIdleConnections()
	u, err := Formats().New(feed.Feed{Name: "osv/test", Format: "osv", URL: s.URL + "/all.zip"}, client)
	require.NoError(t, err)
	var stages []Stage
	m, _ := newManager(t, func(_ *Config, o *Options) {
		o.Progress = func(p Progress) {
			require.Equal(t, "osv/test", p.Updater)
			if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
				stages = append(stages, p.Stage)
			}
			if p.Stage == StageImporting {
				require.Equal(t, int64(len(archive)), p.Total)
			}
		}
	}, u)
	results, err := m.Update(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), results[0].Operations[0].Added)
	require.Equal(t, int64(1), results[0].Skipped)
	require.Contains(t, results[0].Sample, "2.json")
	require.Equal(t, []Stage{StageFetching, StageImporting, StageDone}, stages)
	results, err = m.Update(t.Context())
	require.NoError(t, err)
	require.True(t, results[0].Unchanged())
	archive = feedtest.ZipOf(t, feedtest.GoRecord)
	results, err = m.Update(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), results[0].Operations[0].Removed)
	require.Equal(t, int64(1), results[0].Operations[0].Unchanged)
	archive = []byte("<html>sorry</html>")
	_, err = m.Update(t.Context())
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.Equal(t, int64(1), status(t, m, "osv/test").Records)
}
