package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// fetcher stands for the feeds that are fetched when a platform needs them.
type fetcher struct {
	mu       sync.Mutex
	pending  map[string]bool
	failures map[string]error
}

func (f *fetcher) Fetch(_ context.Context, platform string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pending[platform], f.failures[platform]
}

func (f *fetcher) set(platform string, pending bool, failure error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending[platform], f.failures[platform] = pending, failure
}

// A session of a platform whose feed is being fetched waits in the queue. It
// reads the list when the feed is there, and is told why if the fetch fails.
func TestPatches_WaitsForFeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{pending: map[string]bool{}, failures: map[string]error{}}
		testWaitsForFeeds(t, f, newWindowsFetching(t, nil, f))
	})
}

func testWaitsForFeeds(t *testing.T, f *fetcher, w world) {
	w.fill("debian:12", 5)
	w.feeds.catalogue["debian:11"] = []clair.Offer{{Feed: "debian", Auto: true}}
	f.set("ubuntu:22.04", true, nil)
	f.set("debian:11", true, nil)
	first, second := w.session("ubuntu:22.04"), w.session("jammy")
	failing := w.session("debian:11")
	for i, s := range []*session{first, second} {
		require.Equal(t, "queued", s.State)
		require.Equal(t, i+1, s.Position)
		a := s.ask("", "&wait=5s")
		require.Equal(t, http.StatusAccepted, a.StatusCode)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.Contains(t, a.body, `"state":"queued"`)
	}
	require.Equal(t, names("debian:12", 5), w.session("debian:12").all(), "other platforms do not wait")

	w.fill("ubuntu:22.04", 70)
	f.set("ubuntu:22.04", false, nil)
	var wg sync.WaitGroup
	for _, s := range []*session{first, second} {
		wg.Go(func() { s.all() })
	}
	wg.Wait()
	require.Equal(t, names("ubuntu:22.04", 70), first.got)
	require.Equal(t, names("ubuntu:22.04", 70), second.got)
	require.Equal(t, "active", w.session("ubuntu:22.04").State)

	require.Contains(t, failing.ask("", "").body, `"state":"queued"`)
	f.set("debian:11", false, errors.New("the feed debian: HTTP 404"))
	time.Sleep(2 * time.Second)
	refused := func(a answer, reason string, says ...string) {
		t.Helper()
		w.refuses(a, http.StatusNotFound, "unknown-platform")
		for _, s := range says {
			require.Contains(t, a.body, s)
		}
		var e struct{ Reason, Hint string }
		require.NoError(t, json.Unmarshal([]byte(a.body), &e))
		require.Equal(t, reason, e.Reason)
		require.NotEmpty(t, e.Hint)
	}
	open := func(platform string) answer { return w.do("POST", pV1+"/sessions", `{"platform":"`+platform+`"}`) }
	refused(failing.ask("", ""), "never-fetched", "debian:11", "HTTP 404")
	refused(w.do("GET", pV1+"/sessions/"+failing.ID, ""), "never-fetched", "HTTP 404")
	refused(open("debian:11"), "never-fetched", "debian:11", "HTTP 404")

	// Without anything to fetch, the reason is that of reports.
	w.feeds.catalogue["npm"] = []clair.Offer{{Feed: "osv/npm"}}
	refused(open("npm"), "no-feed", "Enable osv/npm in the configuration.")
	refused(open("plan9:4"), "unknown-distribution")
}

// If the feed is fetched and has nothing for the platform, the session ends.
func TestPatches_FeedWithoutPlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{pending: map[string]bool{"debian:11": true}, failures: map[string]error{}}
		w := newWindowsFetching(t, nil, f)
		w.fill("debian:12", 5)
		s := w.session("debian:11")
		require.Equal(t, "queued", s.State)
		f.set("debian:11", false, nil)
		time.Sleep(2 * time.Second)
		a := s.ask("", "")
		w.refuses(a, http.StatusNotFound, "unknown-platform")
		require.Contains(t, a.body, "no vulnerabilities")
		w.original("?requestID="+s.ID, http.StatusGone)
	})
}
