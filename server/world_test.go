package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/quantity"
	"oriel/match"
	"oriel/server"
	"oriel/server/patches"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/window"
)

type matcher struct{ db *store.DB }

func (m matcher) Initialized(ctx context.Context) (bool, error) { return m.db.Initialized(ctx) }
func (m matcher) Report(ctx context.Context, r *clair.IndexReport) (*match.Result, error) {
	return match.NewMatcher(m.db).Report(ctx, r)
}

// world is a server with a real database behind it. Requests go over loopback,
// or, inside a synctest bubble, straight to the handler: a bubble's clock does
// not advance while a goroutine waits for the network.
type world struct {
	*testing.T
	db      *store.DB
	feeds   *feeds // empty at first
	url     string
	handler http.Handler // if not nil, requests are passed to it
}

func newWorld(t *testing.T) world {
	t.Helper()
	return newWorldWith(t, 5*time.Second, 20)
}

// newWorldWith is newWorld with a limit on the time that indexing a manifest
// may take, and on the number of manifests indexed at once.
func newWorldWith(t *testing.T, timeout time.Duration, indexing int) world {
	t.Helper()
	w := newWorldHandler(t, timeout, indexing)
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	w.url, w.handler = srv.URL, nil
	return w
}

// worldInBubble runs a test in a synctest bubble.
func worldInBubble(t *testing.T, test func(*testing.T, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorldHandler(t, 5*time.Second, 20)) })
}

// newWorldHandler is newWorldWith without a listener.
func newWorldHandler(t *testing.T, timeout time.Duration, indexing int) world {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	cfg := index.Default()
	cfg.AllowPrivate = true // the tests' layers are on loopback
	cfg.Timeout = quantity.Duration(timeout)
	layers := index.NewFetcher(cfg, t.TempDir())
	t.Cleanup(layers.CloseIdleConnections)
	f := newFeeds(db)
	log := slog.New(slog.DiscardHandler)
	windows := patches.New(window.Default(), snapshots{db}, nil, log)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- windows.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, db.Close())
	})
	return world{T: t, db: db, feeds: f, handler: server.New(server.Options{
		Patches:       windows,
		Feeds:         f,
		ReadyAfter:    time.Hour,
		Indexer:       index.NewIndexer(cfg, db, layers, log),
		Indexing:      indexing,
		Changes:       db,
		Notifications: db,
		Manifests:     db,
		Updates:       db,
		Matcher:       matcher{db},
		Coverer:       &match.Coverer{Holdings: db, Feeds: f.Feeds, Catalogue: f.catalogue},
		Log:           log,
		IndexState:    index.State(),
		CacheAge:      time.Hour,
	})}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// do sends a request; headers come in pairs.
func (w world) do(method, path, body string, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	require.NoError(w, err)
	if body != "" {
		req.ContentLength = -1 // chunked and without a Content-Type, as from clairctl
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res := w.roundTrip(req)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	a := answer{res, string(b)}
	held(w, method, path, req.Header.Get("Content-Type"), body, a)
	return a
}

func (w world) roundTrip(req *http.Request) *http.Response {
	w.Helper()
	if w.handler != nil {
		rec := httptest.NewRecorder()
		req.RemoteAddr = "127.0.0.1:1"
		w.handler.ServeHTTP(rec, req)
		return rec.Result()
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(w, err)
	return res
}

// refuses checks the status and code of an error.
func (w world) refuses(a answer, status int, code string) {
	w.Helper()
	require.Equal(w, status, a.StatusCode, a.body)
	require.Equal(w, "application/json", a.Header.Get("Content-Type"))
	require.Equal(w, "nosniff", a.Header.Get("X-Content-Type-Options"))
	require.Empty(w, a.Header.Get("Link"))
	var e struct{ Code, Message string }
	require.NoError(w, json.Unmarshal([]byte(a.body), &e))
	require.Equal(w, code, e.Code)
	require.NotEmpty(w, e.Message)
}
