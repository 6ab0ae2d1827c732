package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/quantity"
	"oriel/match"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/window"
)

// snapshots adapts a store to patches.Source, as package app does.
type snapshots struct{ db *store.DB }

func (s snapshots) Snapshot(ctx context.Context) (patches.Snapshot, error) {
	snap, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return snap, nil
}

// newWindows returns a server with a window on a real database.
func newWindows(t *testing.T, change func(*window.Config)) world {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	w := newWindowsHandler(t, change)
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config.WriteTimeout = time.Minute // makes net/http reset the deadline after each response
	srv.Start()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		srv.Close()
	})
	w.url, w.handler = srv.URL, nil
	return w
}

// windowsInBubble runs a test of a server with a window in a synctest bubble.
func windowsInBubble(t *testing.T, change func(*window.Config), test func(*testing.T, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWindowsHandler(t, change)) })
}

// newWindowsHandler is newWindows without a listener.
func newWindowsHandler(t *testing.T, change func(*window.Config)) world {
	t.Helper()
	return newWindowsFetching(t, change, nil)
}

// newWindowsFetching is newWindowsHandler with a fetcher.
func newWindowsFetching(t *testing.T, change func(*window.Config), fetcher patches.Fetcher) world {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	cfg := window.Default()
	cfg.PaneRows, cfg.PageRows = 50, 16
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.Validate())
	log := slog.New(slog.DiscardHandler)
	windows := patches.New(cfg, snapshots{db}, fetcher, log)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- windows.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, db.Close())
	})
	f := newFeeds(db)
	return world{T: t, db: db, feeds: f, handler: server.New(server.Options{
		Manifests: db,
		Updates:   db,
		Patches:   windows,
		Coverer:   &match.Coverer{Holdings: db, Feeds: f.Feeds, Catalogue: f.catalogue},
		Log:       log,
	})}
}

// fill imports a feed with n rows for a release, named after both.
func (w world) fill(platform string, n int) {
	w.Helper()
	release, ok := distro.ReleaseByName(platform)
	require.True(w, ok)
	_, err := w.db.UpdateVulnerabilities(w.Context(), "feed/"+platform, clair.Fingerprint(fmt.Sprint(n)), func(yield func(*clair.Vulnerability, error) bool) {
		for i := range n {
			v := &clair.Vulnerability{
				Name: fmt.Sprintf("CVE-%s-%d-%d", platform, n, i), Description: strings.Repeat("text ", i%40) + `<&>"`, Links: "https://example.test/1 https://example.test/2",
				Severity: "High", NormalizedSeverity: clair.Severity(i % 6), Aliases: []string{fmt.Sprint("GHSA-", i)},
				Package: &clair.Package{Name: fmt.Sprint("pkg-", i%7), Kind: clair.Source}, Dist: release.Distribution(), FixedInVersion: fmt.Sprint("1.", i%3),
			}
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(w, err)
}

// names returns the names of the rows that fill imports, sorted.
func names(platform string, n int) []string {
	out := []string{}
	for i := range n {
		out = append(out, fmt.Sprintf("CVE-%s-%d-%d", platform, n, i))
	}
	slices.Sort(out)
	return out
}

const pV1 = "/patches/v1"

// session is a session in a response, and the rows read from it.
type session struct {
	ID, Platform, State string
	Position            int
	PollAfterMS         int64  `json:"poll_after_ms"`
	ExpiresAt           string `json:"expires_at"`
	t                   world
	after               string
	got                 []string
}

func (w world) session(platform string) *session {
	w.Helper()
	a := w.do("POST", pV1+"/sessions", fmt.Sprintf(`{"platform":%q}`, platform))
	require.Equal(w, http.StatusCreated, a.StatusCode, a.body)
	s := &session{t: w}
	require.NoError(w, json.Unmarshal([]byte(a.body), s))
	require.Equal(w, pV1+"/sessions/"+s.ID, a.Header.Get("Location"))
	return s
}

// rowsOf is a page in a response.
type rowsOf struct {
	State           string
	Vulnerabilities []struct {
		ID, Name string
		Aliases  []string
		Package  clair.Package
	}
	Next string
}

func (s *session) ask(after, query string, headers ...string) answer {
	s.t.Helper()
	return s.t.do("GET", pV1+"/sessions/"+s.ID+"/vulnerabilities?after="+after+query, "", headers...)
}

// step requests the next page, and reports whether there may be more.
func (s *session) step(query string) bool {
	s.t.Helper()
	a := s.ask(s.after, query)
	if a.StatusCode == http.StatusAccepted {
		require.NoError(s.t, json.Unmarshal([]byte(a.body), s))
		require.NotEmpty(s.t, a.Header.Get("Retry-After"))
		return true
	}
	require.Equal(s.t, http.StatusOK, a.StatusCode, a.body)
	var p rowsOf
	require.NoError(s.t, json.Unmarshal([]byte(a.body), &p))
	for _, v := range p.Vulnerabilities {
		s.got = append(s.got, v.Name)
		require.NotEmpty(s.t, v.ID)
		require.Len(s.t, v.Aliases, 1)
	}
	s.after, s.State = p.Next, p.State
	return p.State != "done"
}

// all reads the rest of the list.
func (s *session) all() []string {
	s.t.Helper()
	for s.step("&wait=5s") {
	}
	slices.Sort(s.got)
	return s.got
}

func TestPatches_ReadsAList(t *testing.T) {
	w := newWindows(t, nil)
	w.fill("debian:12", 120)
	w.fill("ubuntu:22.04", 5)
	require.JSONEq(t, `{"platforms":[{"name":"debian:12","vulnerabilities":120},{"name":"ubuntu:22.04","vulnerabilities":5}]}`,
		w.do("GET", pV1+"/platforms", "").body)
	for _, name := range []string{"debian:12", "Debian 12", "bookworm", "raspbian:12"} {
		s := w.session(name)
		require.Equal(t, "debian:12", s.Platform)
		require.Equal(t, names("debian:12", 120), s.all())
		// The last response may be lost, so it can be repeated.
		a := s.ask(s.after, "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.JSONEq(t, fmt.Sprintf(`{"state":"done","vulnerabilities":[],"next":%q}`, s.after), a.body)
		a = w.do("GET", pV1+"/sessions/"+s.ID, "")
		require.Contains(t, a.body, `"state":"done"`)
	}
	var st struct {
		Active, Queued int
		Memory         struct{ Used, Limit int64 }
		Windows        []map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(w.do("GET", pV1+"/status", "").body), &st))
	require.Zero(t, st.Active+st.Queued+len(st.Windows)+int(st.Memory.Used))
	require.EqualValues(t, 16<<20, st.Memory.Limit)
}

// Every form and coding has the same rows.
func TestPatches_Forms(t *testing.T) {
	w := newWindows(t, nil)
	w.fill("debian:12", 40)
	for _, coding := range []string{"", "gzip", "zstd", "deflate", "br;q=1, gzip;q=0.5, zstd;q=0.2"} {
		for _, accept := range []string{"application/json", "application/x-ndjson"} {
			for _, limit := range []string{"", "&limit=5", "&limit=5000"} {
				s, got := w.session("debian:12"), []string{}
				for state := ""; state != "done"; {
					a := s.ask(s.after, "&wait=5s"+limit, "Accept", accept, "Accept-Encoding", coding)
					require.Equal(t, http.StatusOK, a.StatusCode, a.body)
					require.Equal(t, accept, a.Header.Get("Content-Type"))
					text, err := decoded(a)
					require.NoError(t, err)
					if accept == "application/json" {
						var p rowsOf
						require.NoError(t, json.Unmarshal([]byte(text), &p))
						for _, v := range p.Vulnerabilities {
							got = append(got, v.Name)
						}
						state, s.after = p.State, p.Next
						continue
					}
					state, s.after = a.Header.Get("Oriel-State"), a.Header.Get("Oriel-Next")
					for line := range strings.Lines(text) {
						var v clair.Vulnerability
						require.NoError(t, json.Unmarshal([]byte(line), &v))
						require.Equal(t, "debian", v.Dist.DID)
						got = append(got, v.Name)
					}
					if len(text) > 0 && coding == "gzip" {
						require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
					}
				}
				slices.Sort(got)
				require.Equal(t, names("debian:12", 40), got, "%s %s %s", coding, accept, limit)
			}
		}
	}
	a := w.session("debian:12").ask("", "", "Accept", "text/html")
	w.refuses(a, http.StatusUnsupportedMediaType, "internal-error")
}

func TestPatches_Refuses(t *testing.T) {
	w := newWindows(t, func(c *window.Config) { c.MaxActive, c.MaxQueued, c.MaxPerClient = 1, 1, 3 })
	w.fill("debian:12", 30)
	for _, c := range []struct{ body, says string }{
		{`{}`, "platform"}, {`{"platform":""}`, "platform"}, {`{"platform":7}`, "platform"}, {`[`, "body"}, {``, "body"}, {`{"platform":"go"} x`, "body"},
	} {
		a := w.do("POST", pV1+"/sessions", c.body)
		w.refuses(a, http.StatusBadRequest, "bad-request")
		require.Contains(t, a.body, c.says)
	}
	for _, name := range []string{"plan9:4", "debian:11", strings.Repeat("x", 5000), "go", "\x00", "debian"} {
		a := w.do("POST", pV1+"/sessions", fmt.Sprintf(`{"platform":%q}`, strings.ReplaceAll(name, "\x00", "")+" "))
		w.refuses(a, http.StatusNotFound, "unknown-platform")
		require.Contains(t, a.body, "debian:12", "known platforms are named")
	}
	s := w.session("debian:12")
	for _, q := range []string{"&limit=0", "&limit=-1", "&limit=x", "&wait=5", "&wait=-5s", "&wait=x"} {
		w.refuses(s.ask("", q), http.StatusBadRequest, "bad-request")
	}
	w.refuses(s.ask("nonsense", ""), http.StatusBadRequest, "bad-cursor")
	require.True(t, s.step("&wait=5s"))
	first := s.after
	require.True(t, s.step(""))
	w.refuses(s.ask("", ""), http.StatusBadRequest, "bad-cursor")
	queued := w.session("debian:12")
	require.Equal(t, "queued", queued.State)
	require.Equal(t, 1, queued.Position)
	w.refuses(queued.ask(first, ""), http.StatusBadRequest, "bad-cursor")
	a := w.do("POST", pV1+"/sessions", `{"platform":"debian:12"}`)
	w.refuses(a, http.StatusTooManyRequests, "queue-full")
	require.Equal(t, "10", a.Header.Get("Retry-After"))
	invented := strings.Repeat("0", 32)
	w.refuses(w.do("GET", pV1+"/sessions/"+invented, ""), http.StatusNotFound, "unknown-session")
	w.refuses(w.do("GET", pV1+"/sessions/"+invented+"/vulnerabilities", ""), http.StatusNotFound, "unknown-session")
	w.refuses(w.do("DELETE", pV1+"/sessions/"+invented, ""), http.StatusNotFound, "unknown-session")
	w.refuses(w.do("PUT", pV1+"/sessions/"+invented, ""), http.StatusMethodNotAllowed, "method-not-allowed")
	require.Equal(t, http.StatusNoContent, w.do("DELETE", pV1+"/sessions/"+s.ID, "").StatusCode)
	w.refuses(w.do("GET", pV1+"/sessions/"+s.ID, ""), http.StatusNotFound, "unknown-session")
	require.Equal(t, names("debian:12", 30), queued.all())
}

// Without any vulnerabilities, no platform is known.
func TestPatches_Empty(t *testing.T) {
	w := newWindows(t, nil)
	w.refuses(w.do("POST", pV1+"/sessions", `{"platform":"debian:12"}`), http.StatusNotFound, "unknown-platform")
	require.JSONEq(t, `{"platforms":[]}`, w.do("GET", pV1+"/platforms", "").body)
}

// A held request is answered when the session's turn comes.
func TestPatches_Holds(t *testing.T) {
	windowsInBubble(t, func(c *window.Config) { c.MaxActive = 1 }, testHolds)
}

func testHolds(t *testing.T, w world) {
	w.fill("debian:12", 30)
	first, second, third := w.session("debian:12"), w.session("debian:12"), w.session("debian:12")
	require.True(t, third.step("&wait=1ms"))
	require.Equal(t, 2, third.Position)
	var wg sync.WaitGroup
	wg.Go(func() {
		for second.step("&wait=10s") && len(second.got) == 0 {
		}
	})
	require.Equal(t, names("debian:12", 30), first.all())
	wg.Wait()
	require.Len(t, second.got, 16)
	require.Equal(t, http.StatusNoContent, w.do("DELETE", pV1+"/sessions/"+second.ID, "").StatusCode)
	require.Equal(t, names("debian:12", 30), third.all())
}

// PAT-05, PAT-10: with readers of different speed, updates in the middle, and one
// that leaves, everyone reads the list as of the beginning of the pass.
func TestPatches_TogetherFromOneSnapshot(t *testing.T) {
	windowsInBubble(t, func(c *window.Config) { c.MaxActive = 3 }, testTogetherFromOneSnapshot)
}

func testTogetherFromOneSnapshot(t *testing.T, w world) {
	w.fill("debian:12", 160)
	readers := []*session{w.session("debian:12"), w.session("debian:12")}
	leaving := w.session("debian:12")
	later := w.session("debian:12")
	require.Equal(t, "queued", later.State)
	for range 4 {
		require.True(t, readers[0].step("&wait=5s"))
	}
	require.Len(t, readers[0].got, 50)
	require.True(t, readers[0].step(""))
	require.Equal(t, "waiting", readers[0].State)
	w.fill("debian:12", 70) // replaces all rows
	w.fill("debian:12", 71)
	_, err := w.db.GC(t.Context(), 1)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			for r.step("&wait=5s") {
				time.Sleep(time.Duration(rand.IntN(1+20*i)) * time.Millisecond)
			}
		})
	}
	require.Equal(t, http.StatusNoContent, w.do("DELETE", pV1+"/sessions/"+leaving.ID, "").StatusCode)
	wg.Wait()
	for _, r := range readers {
		require.Len(t, r.got, 160)
		slices.Sort(r.got)
		require.Equal(t, names("debian:12", 160), r.got)
	}
	require.Equal(t, names("debian:12", 71), later.all())
}

// PAT-07, PAT-08.
func TestPatches_Expires(t *testing.T) {
	windowsInBubble(t, func(c *window.Config) { c.MaxActive = 2 }, testExpires)
}

func testExpires(t *testing.T, w world) {
	w.fill("debian:12", 70)
	silent, reader, queued := w.session("debian:12"), w.session("debian:12"), w.session("debian:12")
	// The reader waits for the silent session, whose session_timeout is 30s.
	start := time.Now()
	require.Equal(t, names("debian:12", 70), reader.all())
	require.InDelta(t, 30*time.Second, time.Since(start), float64(2*time.Second))
	w.refuses(silent.ask("", ""), http.StatusGone, "session-expired")
	w.refuses(w.do("GET", pV1+"/sessions/"+silent.ID, ""), http.StatusGone, "session-expired")
	time.Sleep(31 * time.Second)
	w.refuses(queued.ask("", ""), http.StatusGone, "session-expired")
	w.refuses(reader.ask(reader.after, ""), http.StatusGone, "session-finished")
	require.Equal(t, http.StatusNoContent, w.do("DELETE", pV1+"/sessions/"+reader.ID, "").StatusCode)
}

// A list holds the rows of the operation that was current when its pass began:
// neither a row that the next operation added nor one that this operation
// removed, also if the next operation is made in the middle of the pass.
func TestPatches_RowsOfOneOperation(t *testing.T) {
	w := newWindows(t, func(c *window.Config) { c.PaneRows, c.PageRows = 8, 4 })
	const rows, operations = 20, 5
	// Operation k holds some rows that stay, and two behind them in the list,
	// numbers k and k+1: the next operation removes the first of these and adds
	// a third.
	list := func(k int) (names []string) {
		for i := range rows {
			names = append(names, fmt.Sprintf("CVE-%03d", i))
		}
		return append(names, fmt.Sprintf("CVE-9%02d", k), fmt.Sprintf("CVE-9%02d", k+1))
	}
	update := func(k int) {
		release, ok := distro.ReleaseByName("debian:12")
		require.True(t, ok)
		_, err := w.db.UpdateVulnerabilities(t.Context(), "feed", clair.Fingerprint(fmt.Sprint(k)), func(yield func(*clair.Vulnerability, error) bool) {
			for _, name := range list(k) {
				v := &clair.Vulnerability{
					Name: name, Aliases: []string{"alias-" + name}, NormalizedSeverity: clair.Low,
					Package: &clair.Package{Name: "p", Kind: clair.Source}, Dist: release.Distribution(), FixedInVersion: "1",
				}
				if !yield(v, nil) {
					return
				}
			}
		})
		require.NoError(t, err)
	}
	update(0)
	for k := range operations {
		s := w.session("debian:12")
		require.True(t, s.step("&wait=5s"))
		update(k + 1)
		require.Equal(t, list(k), s.all(), "operation %d", k)
	}
}

// Clients that do not read their responses, and clients that disconnect in the
// middle, do not disturb others, and their memory is released.
func TestPatches_BadClients(t *testing.T) {
	w := newWindowsHandler(t, func(c *window.Config) {
		c.PaneTimeout, c.PaneRows, c.PageRows = quantity.Duration(3*time.Second), 10_000, 5_000
		if testing.Short() { // the good reader needs longer with the race detector
			c.PaneTimeout *= 5
		}
	})
	handler, srv := w.handler, httptest.NewUnstartedServer(w.handler)
	srv.Config.WriteTimeout = time.Minute
	srv.Start()
	defer srv.Close()
	w.url, w.handler = srv.URL, nil
	const rows = 6000
	w.fill("debian:12", rows)
	good := w.session("debian:12")
	var stuck []*session
	for i := range 6 {
		s := w.session("debian:12")
		c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4<<10))
		// Several responses exceed the buffers of the connection.
		request := fmt.Sprintf("GET %s/sessions/%s/vulnerabilities?wait=5s HTTP/1.1\r\nHost: x\r\n\r\n", pV1, s.ID)
		_, err = io.WriteString(c, strings.Repeat(request, 4))
		require.NoError(t, err)
		if i%2 == 0 {
			_, err = bufio.NewReader(c).ReadByte()
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		stuck = append(stuck, s)
	}
	require.Equal(t, names("debian:12", rows), good.all())
	for _, s := range stuck {
		w.refuses(s.ask("", ""), http.StatusGone, "session-too-slow")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	srv.Close() // waits for the requests in progress
	w.handler = handler
	require.Contains(t, w.do("GET", pV1+"/status", "").body, `"memory":{"used":0,`)
}

// Invented ids and abandoned sessions take no memory for long.
func TestPatches_Bogus(t *testing.T) {
	windowsInBubble(t, func(c *window.Config) { c.MaxQueued = 50 }, testBogus)
}

func testBogus(t *testing.T, w world) {
	w.fill("debian:12", 10)
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round := func(n int) {
		for i := range n {
			a := w.do("GET", fmt.Sprintf("/?requestID=%032x", rand.Uint64()), "")
			require.Equal(t, http.StatusNotFound, a.StatusCode)
			if i%4 == 0 {
				a = w.do("POST", pV1+"/sessions", `{"platform":"debian:12"}`)
				require.Contains(t, []int{http.StatusCreated, http.StatusTooManyRequests}, a.StatusCode)
			}
		}
	}
	round(500)
	before := used()
	round(4000 / share())
	require.Less(t, used(), before+8<<20)
	time.Sleep(time.Minute)
	require.Contains(t, w.do("GET", pV1+"/status", "").body, `"active":0,"queued":0`)
}

// share returns the divisor for the size of tests that take long with the race
// detector.
func share() int {
	if testing.Short() {
		return 10
	}
	return 1
}

// Several platforms share a budget that is hardly enough for one.
func TestPatches_TightMemory(t *testing.T) {
	w := newWindows(t, func(c *window.Config) { c.Memory, c.PaneRows, c.PageRows = 1<<20, 8000, 128 })
	platforms := []string{"debian:10", "debian:11", "debian:12", "ubuntu:20.04", "ubuntu:22.04"}
	for _, p := range platforms {
		w.fill(p, 700)
	}
	var wg sync.WaitGroup
	for i := range 30 {
		p := platforms[i%len(platforms)]
		wg.Go(func() {
			s := w.session(p)
			got := s.all()
			if !slices.Equal(names(p, 700), got) {
				t.Errorf("%s: %d rows", p, len(got))
			}
		})
	}
	wg.Wait()
}
