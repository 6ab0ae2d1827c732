package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"oriel/server"
)

// slowBody is a body that is sent in part and then stalls until the test ends.
type slowBody struct {
	rest    *bytes.Reader
	ctx     context.Context
	counter *atomic.Int64
	sent    int64
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.rest.Len() == 0 {
		<-b.ctx.Done()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.rest.Read(p[:min(len(p), 4<<10)])
	b.sent += int64(n)
	b.counter.Add(int64(n))
	return n, err
}

// slowRequests sends 900 requests with slow bodies, and returns when each is
// answered or waits. held is the number of bytes that unanswered requests have
// read; end ends them and returns the statuses.
func slowRequests(s http.Handler, method, path string, body []byte, headers http.Header) (held *atomic.Int64, end func() map[int]int) {
	const clients = 900
	ctx, stop := context.WithCancel(context.Background())
	held = new(atomic.Int64)
	statuses := make(chan int, clients)
	for range clients {
		go func() {
			b := &slowBody{rest: bytes.NewReader(body), ctx: ctx, counter: held}
			r := httptest.NewRequestWithContext(ctx, method, path, io.NopCloser(b))
			r.RemoteAddr = "127.0.0.1:1"
			r.Header = headers.Clone()
			rec := httptest.NewRecorder()
			s.ServeHTTP(rec, r)
			held.Add(-b.sent)
			if rec.Code == http.StatusServiceUnavailable && rec.Header().Get("Retry-After") == "" {
				rec.Code = 0
			}
			statuses <- rec.Code
		}()
	}
	synctest.Wait()
	return held, func() map[int]int {
		stop()
		counts := map[int]int{}
		for range clients {
			counts[<-statuses]++
		}
		return counts
	}
}

// Whatever the route, 900 slow bodies hold no more than the memory for them.
func TestAccount_SlowBodies(t *testing.T) {
	letters := make([]byte, 256<<10)
	x := uint32(1)
	for i := range letters {
		x = x*1664525 + 1013904223
		letters[i] = 'a' + byte(x>>24)%16
	}
	plain := append([]byte(`{"platform":"`), letters...)
	list := append([]byte(`["`), letters...)
	const limit = 12 << 20
	// Each byte costs three; 2 KiB and one read of each client are not reserved,
	// and two bodies of 256 KiB have the share of heavy requests.
	const most = limit/3 + 900*(2<<10+4<<10) + 2*256<<10
	read := map[string]bool{}
	worldInBubble(t, func(t *testing.T, w world) {
		s := w.handler.(*server.Server)
		for route := range s.RouteTable() {
			method, path, _ := strings.Cut(route, " ")
			path = strings.NewReplacer("/*", "/"+hashA, ":id", "1").Replace(path)
			if strings.HasPrefix(path, "/patches/v1/sessions/") || strings.HasPrefix(path, "/notifier/") && method == "GET" {
				path = strings.TrimSuffix(path, "/"+hashA)
			}
			for name, c := range map[string]struct {
				body    []byte
				headers http.Header
			}{
				"object": {plain, http.Header{}},
				"list":   {list, http.Header{}},
				"gzip":   {[]byte(inGzip(string(plain)))[:128<<10], http.Header{"Content-Encoding": {"gzip"}}},
				"sbom":   {plain, http.Header{"Content-Type": {"application/spdx+json"}}},
			} {
				held, end := slowRequests(s, method, path, c.body, c.headers)
				got := held.Load()
				_, reserved := s.MemoryHeld()
				statuses := end()
				require.LessOrEqual(t, got, int64(most), "%s %s", route, name)
				require.LessOrEqual(t, reserved, int64(limit), "%s %s", route, name)
				require.Zero(t, statuses[0], "%s %s: 503 without Retry-After", route, name)
				after, _ := s.MemoryHeld()
				require.Zero(t, after, "%s %s: all is released", route, name)
				if got > 0 {
					read[route] = true
				}
				if route == "POST /patches/v1/sessions" && name == "object" {
					require.Greater(t, statuses[503], 800, "%v", statuses)
				}
			}
		}
	})
	require.GreaterOrEqual(t, len(read), 5, "routes that read a body: %v", read)
}

// A small body is read while large ones hold all the memory for bodies.
func TestAccount_SmallBodies(t *testing.T) {
	worldInBubble(t, func(t *testing.T, w world) {
		body := append([]byte(`["`), bytes.Repeat([]byte("x"), 256<<10)...)
		_, end := slowRequests(w.handler, "DELETE", "/indexer/api/v1/index_report", body, http.Header{})
		a := w.do("DELETE", "/indexer/api/v1/index_report", `["`+hashA+`"]`)
		require.Equal(t, 200, a.StatusCode, a.body)
		end()
	})
}
