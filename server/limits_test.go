package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/server"
)

// from returns a server that takes the client's address from the header From,
// since a test runs on one machine.
func (w world) from(change func(*server.Options)) world {
	w.Helper()
	o := server.Options{Manifests: w.db, Updates: w.db, Matcher: matcher{w.db}, Log: slog.New(slog.DiscardHandler), IndexState: state}
	change(&o)
	s := server.New(o)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("From")
		s.ServeHTTP(rw, r)
	}))
	w.Cleanup(srv.Close)
	return world{T: w.T, db: w.db, feeds: w.feeds, url: srv.URL}
}

func TestLimits_Rate(t *testing.T) {
	clock := &clock{at: time.Now()}
	w := newWorld(t).from(func(o *server.Options) {
		o.Limits = server.DefaultLimits()
		o.Limits.Rate, o.Limits.Burst = 2, 3
		o.Now = clock.now
	})
	ask := func(from string) answer {
		return w.do("GET", iState, "", "From", from, "X-Forwarded-For", "198.51.100.7", "X-Real-Ip", "198.51.100.8")
	}
	for i := range 3 {
		require.Equal(t, 200, ask(fmt.Sprintf("192.0.2.1:%d", 1000+i)).StatusCode)
	}
	a := ask("192.0.2.1:9")
	w.refuses(a, 429, "too-many-requests")
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	w.refuses(ask("[::ffff:192.0.2.1]:9"), 429, "too-many-requests")
	require.Equal(t, 200, ask("192.0.2.2:9").StatusCode, "another client")
	clock.move(time.Second)
	for range 2 {
		require.Equal(t, 200, ask("192.0.2.1:9").StatusCode)
	}
	require.Equal(t, 429, ask("192.0.2.1:9").StatusCode)

	for i := range 3 {
		require.Equal(t, 200, ask(fmt.Sprintf("[2001:db8::%x]:9", i)).StatusCode)
	}
	require.Equal(t, 429, ask("[2001:db8::ffff]:9").StatusCode, "one network")
	require.Equal(t, 200, ask("[2001:db8:0:1::1]:9").StatusCode, "the next network")
	for range 20 {
		require.Equal(t, 200, ask("127.0.0.1:9").StatusCode, "this machine is not limited")
		require.Equal(t, 200, ask("[::1]:9").StatusCode)
	}
	require.Contains(t, w.do("GET", "/metrics", "").body, `oriel_http_limited_total{limit="rate"} 4`)
}

// The table of clients is bounded, and an active client is not dropped in favor
// of clients that make a single request.
func TestLimits_ManyClients(t *testing.T) {
	clock := &clock{at: time.Now()}
	o := server.Options{Log: slog.New(slog.DiscardHandler), IndexState: state, Now: clock.now}
	o.Limits = server.DefaultLimits()
	o.Limits.Rate, o.Limits.Burst = 1, 1
	s := server.New(o)
	ask := func(from string) int {
		r := httptest.NewRequest("GET", iState, nil)
		r.RemoteAddr = from
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		return rec.Code
	}
	const busy = "192.0.2.1:9"
	require.Equal(t, 200, ask(busy))
	for i := range 20_000 {
		require.Equal(t, 200, ask(fmt.Sprintf("10.%d.%d.1:9", i/256, i%256)))
		if i%4000 == 0 {
			require.Equal(t, 429, ask(busy))
		}
	}
	require.Equal(t, 200, ask("10.0.0.1:9"), "dropped as the least recently seen")
}

func TestLimits_BodyAndHeaders(t *testing.T) {
	w := newWorld(t)
	l := server.DefaultLimits()
	l.Body, l.Headers = 64<<10, 4<<10
	addr := run(t, server.Options{Manifests: w.db, Updates: w.db, Matcher: matcher{w.db}, Log: slog.New(slog.DiscardHandler), IndexState: state, Limits: l})
	w = world{T: t, db: w.db, feeds: w.feeds, url: "http://" + addr}
	w.refuses(w.do("PUT", iRep+hashA, `{"packages":{"1":{"name":"`+strings.Repeat("x", 65<<10)+`"}}}`), 413, "request-too-large")
	res, err := http.DefaultTransport.RoundTrip(func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+iState, nil)
		require.NoError(t, err)
		r.Header.Set("X-Long", strings.Repeat("x", 16<<10))
		return r
	}())
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}

// Each response has its own id, and headers that restrict browsers.
func TestServer_Headers(t *testing.T) {
	w := newWorld(t)
	ids := map[string]bool{}
	for _, path := range []string{iState, "/healthz", "/nowhere", "/openapi", iRep + hashA, "/metrics"} {
		a := w.do("GET", path, "", "X-Request-Id", "evil\tid")
		id := a.Header.Get("X-Request-Id")
		require.Regexp(t, `^[A-Z2-7]{26}$`, id)
		require.False(t, ids[id])
		ids[id] = true
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", a.Header.Get("X-Frame-Options"), path)
		require.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"), path)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Empty(t, a.Header.Get("Server"), path)
	}
}

// The log has a line for each request, with the id of its response.
func TestServer_AccessLog(t *testing.T) {
	w := newWorld(t)
	log := &syncBuffer{}
	w = w.with(func(o *server.Options) {
		o.Log = slog.New(server.LogHandler(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("a", 1)
	})
	id := w.do("GET", iRep+hashA, "").Header.Get("X-Request-Id")
	require.Contains(t, log.String(), `"msg":"request answered","a":1,"method":"GET","path":"`+iRep+hashA+`","status":404`)
	require.Equal(t, 2, strings.Count(log.String(), id), "why it failed, and that it was answered: %s", log.String())
}

// A request that takes longer than the shutdown waits is canceled, and ends
// before the server does.
func TestServer_RunGivesUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a shutdown waits; run without -short")
	}
	t.Parallel() // it mostly waits
	w := newWorld(t)
	w.update("u")
	w.do("PUT", iRep+hashA, indexReport(nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := stubborn{matcher{w.db}, make(chan struct{}), make(chan struct{})}
	s := server.New(server.Options{Manifests: w.db, Updates: w.db, Matcher: m, Log: slog.New(slog.DiscardHandler), IndexState: state})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, l); err != nil {
			t.Error(err)
		}
		select {
		case <-m.ended:
		default:
			t.Error("Run returned before the request had ended")
		}
	})
	wg.Go(func() {
		res, err := http.Get("http://" + l.Addr().String() + vRep + hashA)
		if err == nil {
			res.Body.Close()
		}
	})
	<-m.began
	stop()
	wg.Wait()
}

// stubborn returns a report only when its context is canceled.
type stubborn struct {
	matcher
	began, ended chan struct{}
}

func (m stubborn) Report(ctx context.Context, _ *clair.IndexReport) (*match.Result, error) {
	close(m.began)
	<-ctx.Done()
	close(m.ended)
	return nil, ctx.Err()
}
