package updater

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/server"
	"oriel/store"
)

// far is a real server with a real store, and what was asked of it.
type far struct {
	*httptest.Server
	db *store.DB

	mu    sync.Mutex
	asked []string
	bytes int
}

type countingWriter struct {
	http.ResponseWriter
	n int
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.n += n
	return n, err
}

func newFar(t *testing.T) *far {
	t.Helper()
	f := &far{db: openStore(t)}
	h := server.New(server.Options{Manifests: f.db, Updates: f.db, Log: slog.New(slog.DiscardHandler)})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &countingWriter{ResponseWriter: w}
		h.ServeHTTP(c, r)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked, f.bytes = append(f.asked, strings.TrimPrefix(r.URL.RequestURI(), "/matcher/api/v1/internal/")), f.bytes+c.n
	}))
	t.Cleanup(func() {
		f.Close()
		require.NoError(t, f.db.Close())
	})
	return f
}

// requests returns the requests since the last call, and the bytes of their
// answers.
func (f *far) requests() ([]string, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked, n := f.asked, f.bytes
	f.asked, f.bytes = nil, 0
	return asked, n
}

func (f *far) update(t *testing.T, updater string, rows ...*clair.Vulnerability) clair.UpdateResult {
	t.Helper()
	res, err := f.db.UpdateVulnerabilities(t.Context(), updater, "fp", func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range rows {
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	return res
}

// full is a row with every field that a difference carries.
func full(i int) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name: fmt.Sprintf("CVE-2024-%05d", i), Description: strings.Repeat(fmt.Sprint("text ", i, " "), 30), Links: fmt.Sprint("https://example.test/", i),
		Severity: "high", NormalizedSeverity: clair.Severity(i % 6), FixedInVersion: "1.2-" + fmt.Sprint(i), ArchOperation: clair.ArchPattern,
		Package: &clair.Package{Name: fmt.Sprint("p", i%50), Kind: clair.Source, Module: "m:1", Arch: "x86_64|s390x"},
		Dist:    &clair.Distribution{DID: "debian", Name: "Debian", VersionID: "12", Version: "12 (bookworm)"},
		Repo:    &clair.Repository{Name: "r", Key: "rhel-cpe-repository", CPE: "cpe:2.3:o:redhat:enterprise_linux:9:*:*:*:*:*:*:*"},
	}
}

func fulls(n int) []*clair.Vulnerability {
	var out []*clair.Vulnerability
	for i := range n {
		out = append(out, full(i))
	}
	return out
}

// contents are all rows of an updater as a client sees them, sorted.
func contents(t *testing.T, db *store.DB, updater string) []string {
	t.Helper()
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	var out []string
	for v, err := range s.Vulnerabilities(t.Context(), updater) {
		require.NoError(t, err)
		v.ID, v.Updater, v.Aliases = "", "", nil
		text, err := json.Marshal(v)
		require.NoError(t, err)
		out = append(out, string(text))
	}
	slices.Sort(out)
	return out
}

// mirrorOf makes a manager with one feed of the format clair.
func mirrorOf(t *testing.T, url string, more map[string]any, others ...clair.Updater) (*Manager, *store.DB) {
	t.Helper()
	table := map[string]any{"name": "hq", "format": "clair", "url": url}
	for k, v := range more {
		table[k] = v
	}
	// The other server loses most of its records in these tests.
	lose := func(c *Config, _ *Options) { c.MaxShrink = 0 }
	return newManager(t, lose, append([]clair.Updater{newUpdater(t, table)}, others...)...)
}

func TestClair_MirrorsAnotherServer(t *testing.T) {
	source := newFar(t)
	rows := fulls(3000)
	first := source.update(t, "debian/updater", rows...)
	source.update(t, "osv/Go", full(1), full(2))
	m, db := mirrorOf(t, source.URL, nil)
	same := func() {
		t.Helper()
		for _, u := range []string{"debian/updater", "osv/Go"} {
			require.Equal(t, contents(t, source.db, u), contents(t, db, u))
		}
	}
	run := func() Result {
		t.Helper()
		res, err := m.Update(t.Context())
		require.NoError(t, err)
		require.Len(t, res, 1)
		return res[0]
	}

	res := run()
	require.Len(t, res.Operations, 2)
	require.EqualValues(t, 3000, res.Operations[0].Added)
	same()
	asked, whole := source.requests()
	require.Equal(t, []string{"update_operation?latest=true", "update_diff?cur=" + first.Ref.String()}, asked[:2])
	require.Len(t, asked, 3)
	require.EqualValues(t, 3000, status(t, m, "debian/updater").Records)
	require.Empty(t, status(t, m, "hq").Error)

	require.True(t, run().Unchanged())
	asked, _ = source.requests()
	require.Equal(t, []string{"update_operation?latest=true"}, asked, "nothing but the list is asked for")

	// Two rows go, one comes and one changes.
	changed := full(7)
	changed.FixedInVersion = "2"
	next := append(slices.Clone(rows[2:7]), changed, full(5000))
	second := source.update(t, "debian/updater", append(next, rows[8:]...)...)
	res = run()
	require.Len(t, res.Operations, 1)
	require.Equal(t, "debian/updater", res.Operations[0].Updater)
	require.EqualValues(t, 2, res.Operations[0].Added)
	require.EqualValues(t, 3, res.Operations[0].Removed)
	require.EqualValues(t, 2997, res.Operations[0].Unchanged)
	same()
	asked, part := source.requests()
	require.Equal(t, []string{"update_operation?latest=true", "update_operation", "update_diff?prev=" + first.Ref.String() + "&cur=" + second.Ref.String()}, asked)
	require.Less(t, part, whole/20, "only the difference comes over")
	t.Logf("whole: %d bytes; difference: %d bytes", whole, part)

	// The operation mirrored last is deleted here: the one before is the base.
	_, err := db.DeleteUpdateOperations(t.Context(), res.Operations[0].Ref)
	require.NoError(t, err)
	res = run()
	require.EqualValues(t, 2, res.Operations[0].Added)
	require.EqualValues(t, 3, res.Operations[0].Removed)
	same()
	asked, _ = source.requests()
	require.Contains(t, asked[2], "prev="+first.Ref.String())

	// The base is deleted there: everything is fetched.
	third := source.update(t, "debian/updater", rows...)
	_, err = source.db.DeleteUpdateOperations(t.Context(), second.Ref)
	require.NoError(t, err)
	run()
	same()
	asked, _ = source.requests()
	require.Equal(t, []string{"update_operation?latest=true", "update_operation", "update_diff?cur=" + third.Ref.String()}, asked)

	// The newest is deleted there: the one before is current again, here too.
	_, err = source.db.DeleteUpdateOperations(t.Context(), third.Ref)
	require.NoError(t, err)
	source.update(t, "debian/updater", next...)
	run()
	same()
}

func TestClair_Names(t *testing.T) {
	source := newFar(t)
	source.update(t, "osv/Go", full(1))
	source.update(t, "debian/updater", full(2))
	source.update(t, "a,b", full(2))
	local := &fake{name: "osv/Go", parse: rowsOf(3, 0)}
	m, db := mirrorOf(t, source.URL, nil, local)
	res, err := m.Update(t.Context())
	require.ErrorIs(t, err, clair.ErrConflict)
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.Len(t, res[0].Operations, 1, "the others go on")
	require.Len(t, contents(t, db, "osv/Go"), 3, "a feed of this configuration keeps its name")
	require.Contains(t, status(t, m, "hq").Error, "osv/Go is the name of a feed here")
	require.NoError(t, res[1].Err)

	second := newUpdater(t, map[string]any{"name": "hq2", "format": "clair", "url": source.URL, "updaters": []any{"debian/updater", "gone"}})
	third := newUpdater(t, map[string]any{"name": "hq3", "format": "clair", "url": source.URL + "/", "updaters": []any{"osv/Go"}, "prefix": "hq3/"})
	m, db = mirrorOf(t, source.URL, map[string]any{"updaters": []any{"debian/updater"}}, second, third)
	_, err = m.Update(t.Context(), "hq")
	require.NoError(t, err)
	res, err = m.Update(t.Context(), "hq2", "hq3")
	require.ErrorContains(t, err, "debian/updater is an updater of hq already")
	require.ErrorContains(t, err, `updater "gone": not found`)
	require.NoError(t, res[1].Err)
	require.Len(t, contents(t, db, "hq3/osv/Go"), 1)
}

// foreign is a server whose answers the test writes.
type foreign struct {
	*httptest.Server
	mu   sync.Mutex
	ops  string
	diff func(w http.ResponseWriter, r *http.Request)
	prev []string
	auth string
}

func newForeign(t *testing.T) *foreign {
	f := &foreign{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.auth = r.Header.Get("Authorization")
		if strings.HasSuffix(r.URL.Path, "/update_operation") {
			fmt.Fprint(w, f.ops)
			return
		}
		f.prev = append(f.prev, r.URL.Query().Get("prev"))
		f.diff(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

const (
	refA = "11111111-1111-4111-8111-111111111111"
	refB = "22222222-2222-4222-8222-222222222222"
	none = `{"ref":"00000000-0000-0000-0000-000000000000","updater":"","fingerprint":"","date":"0001-01-01T00:00:00Z","kind":""}`
)

func (f *foreign) serve(ops, diff string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops, f.prev = ops, nil
	f.diff = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, diff) }
}

func opOf(ref string) string {
	return `{"ref":"` + ref + `","updater":"osv/npm","fingerprint":"x","date":"2024-01-01T00:00:00Z","kind":""}`
}

// npm is a row as Clair writes it.
func npm(id int, name, fixed string) string {
	return fmt.Sprintf(`{"id":"%d","updater":"osv/npm","name":%q,"description":"d","issued":"2024-01-01T00:00:00Z","links":"https://a.test https://b.test",
		"severity":"","normalized_severity":"%s","package":{"id":"","name":"lodash","version":"","kind":"binary","source":null,"normalized_version":"","cpe":""},
		"distribution":{"id":"","did":"","name":"","version":"","version_code_name":"","version_id":"","arch":"","cpe":"","pretty_name":""},
		"repository":{"name":"npm","cpe":""},"fixed_in_version":%q,"arch_op":"invalid"}`, id, name, []string{"Defcon1", "high", "", "Unheard"}[id%4], fixed)
}

func TestClair_ForeignDifferences(t *testing.T) {
	f := newForeign(t)
	m, db := mirrorOf(t, f.URL, nil)
	run := func() Result {
		t.Helper()
		res, err := m.Update(t.Context())
		require.NoError(t, err)
		return res[0]
	}
	f.serve("null", "")
	require.True(t, run().Unchanged())

	only := func(ref string) string { return `{"osv/npm":[` + opOf(ref) + `]}` }
	f.serve(only(refA), `{"prev":`+none+`,"cur":`+opOf(refA)+`,"added":[`+npm(1, "A", "1")+`,`+npm(2, "B", "")+`,{"name":"no package"},{"name":7}],"removed":null}`)
	res := run()
	require.EqualValues(t, 2, res.Operations[0].Added)
	require.EqualValues(t, 2, res.Skipped)
	require.Len(t, contents(t, db, "osv/npm"), 2)

	both := `{"osv/npm":[` + opOf(refB) + `,` + opOf(refA) + `]}`
	f.serve(both, `{"removed":[`+npm(2, "B", "")+`],"added":null,"extra":{"a":[1]},"cur":`+opOf(refB)+`,"prev":`+opOf(refA)+`}`)
	res = run()
	require.Equal(t, []string{refA}, f.prev)
	require.EqualValues(t, 1, res.Operations[0].Removed)
	require.Len(t, contents(t, db, "osv/npm"), 1)

	// A row that is removed there is missing here: everything is fetched again.
	f.serve(strings.ReplaceAll(both, "1111", "2222"), "")
	f.mu.Lock()
	refC := strings.ReplaceAll(refA, "1", "3")
	f.ops = `{"osv/npm":[` + opOf(refC) + `,` + opOf(refB) + `]}`
	f.diff = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("prev") != "" {
			fmt.Fprint(w, `{"prev":`+opOf(refB)+`,"cur":`+opOf(refC)+`,"added":[],"removed":[`+npm(9, "Z", "")+`]}`)
			return
		}
		// Two rows that only a range tells apart, which is not in them.
		fmt.Fprint(w, `{"prev":`+none+`,"cur":`+opOf(refC)+`,"added":[`+npm(1, "C", "")+`,`+npm(5, "C", "")+`],"removed":[]}`)
	}
	f.mu.Unlock()
	res = run()
	require.Equal(t, []string{refB, ""}, f.prev)
	require.Len(t, contents(t, db, "osv/npm"), 1)
	require.Len(t, res.Operations, 1)

	// One of the two goes there: what that means here only the whole can say.
	f.serve(`{"osv/npm":[`+opOf(refA)+`,`+opOf(refC)+`]}`, `{"prev":`+none+`,"cur":`+opOf(refA)+`,"added":[`+npm(1, "C", "")+`],"removed":[]}`)
	run()
	require.Equal(t, []string{""}, f.prev)
	require.Len(t, contents(t, db, "osv/npm"), 1)
}

func TestClair_BadAnswers(t *testing.T) {
	good := `{"prev":` + none + `,"cur":` + opOf(refA) + `,"added":[` + npm(1, "A", "1") + `],"removed":[]}`
	f := newForeign(t)
	u := newUpdater(t, map[string]any{"name": "hq", "format": "clair", "url": f.URL})
	m, db := newManager(t, nil, u)
	ops := `{"osv/npm":[` + opOf(refA) + `]}`
	for name, c := range map[string]struct{ ops, diff string }{
		"cut":           {ops, good[:len(good)-20]},
		"cut_at_end":    {ops, good[:len(good)-1]},
		"garbled":       {ops, strings.Replace(good, `"removed"`, `"removed`, 1)},
		"more_after":    {ops, good + "{}"},
		"other_cur":     {ops, strings.ReplaceAll(good, refA, refB)},
		"other_prev":    {ops, strings.Replace(good, none, opOf(refB), 1)},
		"no_removed":    {ops, strings.Replace(good, `,"removed":[]`, "", 1)},
		"twice":         {ops, strings.Replace(good, `"removed":[]`, `"added":[],"removed":[]`, 1)},
		"not_a_list":    {ops, strings.Replace(good, `"removed":[]`, `"removed":{}`, 1)},
		"empty":         {ops, ""},
		"not_a_diff":    {ops, "<html>"},
		"all_bad":       {ops, `{"prev":` + none + `,"cur":` + opOf(refA) + `,"added":[{"name":1}],"removed":[]}`},
		"list_cut":      {ops[:20], good},
		"list_is_other": {`["a"]`, good},
	} {
		f.serve(c.ops, c.diff)
		_, err := m.Update(t.Context())
		require.Error(t, err, name)
		all, err := db.GetUpdateOperations(t.Context(), "")
		require.NoError(t, err)
		require.Empty(t, all, name)
	}
	f.serve(ops, "")
	f.diff = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Clair-Error")
		fmt.Fprint(w, good)
		w.Header().Set("Clair-Error", "the database went away")
	}
	_, err := m.Update(t.Context())
	require.ErrorContains(t, err, "the database went away")
	require.ErrorIs(t, err, clair.ErrUnavailable)
	f.serve(ops, good)
	_, err = m.Update(t.Context())
	require.NoError(t, err)
	require.Empty(t, f.auth)
}

func TestClair_Authorizes(t *testing.T) {
	f := newForeign(t)
	f.serve("{}", "")
	key := []byte("a key that both share")
	psk := base64.StdEncoding.EncodeToString(key)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "psk"), []byte(psk+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("opaque\n"), 0o600))
	ask := func(options map[string]any) error {
		table := map[string]any{"name": "hq", "format": "clair", "url": f.URL}
		for k, v := range options {
			table[k] = v
		}
		one, err := Formats().ParseFeed(table, "feed", dir)
		require.NoError(t, err)
		u, err := Formats().New(one, fetch.New(fetch.Config{Retries: -1, TempDir: dir}))
		if err != nil {
			return err
		}
		for _, err := range u.(feed.Set).Updaters(context.Background()) {
			return err
		}
		return nil
	}
	for issuer, options := range map[string]map[string]any{
		"oriel": {"psk": psk}, "edge": {"psk_file": "psk", "issuer": "edge"},
	} {
		require.NoError(t, ask(options))
		text, ok := strings.CutPrefix(f.auth, "Bearer ")
		require.True(t, ok)
		token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key, nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		require.NoError(t, err)
		require.True(t, token.Valid)
	}
	require.NoError(t, ask(map[string]any{"token_file": "token"}))
	require.Equal(t, "Bearer opaque", f.auth)
	require.ErrorIs(t, ask(map[string]any{"psk": "%%%"}), clair.ErrInvalid)
	require.ErrorIs(t, ask(map[string]any{"psk": psk, "token_file": "token"}), clair.ErrInvalid)
	require.Error(t, ask(map[string]any{"psk_file": "gone"}))
}
